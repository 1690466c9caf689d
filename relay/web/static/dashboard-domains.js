// Custom domains: add, the TXT record that proves them, check, remove.

import { path } from "./api.js";
import { fill, make } from "./dom.js";
import { copyable } from "./shell.js";
import { toast } from "./toast.js";
import { request } from "./dashboard-account.js";
import { field, formDialog } from "./dashboard-dialogs.js";
import { badge, button, day, empty, head, loading, notice, trouble } from "./dashboard-parts.js";

/** The section. */
export function domains(root) {
  const add = () => button("Add Domain", "plus", { class: "button-primary", onclick: () => openAdd(refresh) });
  const list = make("div", { class: "stack" }, loading());
  const first = add();
  root.append(head("Custom Domains", "Prove that a domain is yours, and every address at it is.", first), list);

  async function refresh() {
    try {
      const found = await request("GET", "/api/domains");
      first.hidden = found.length === 0; // it stands in the middle then
      fill(list, found.length > 0 ? found.map((domain) => card(domain, refresh)) : empty("globe", "No domain yet", "Add one, set one TXT record in its DNS, and press Check.", add()));
    } catch (error) {
      fill(list, trouble(error, refresh));
    }
  }
  refresh();
}

function card(domain, refresh) {
  const remove = button("Remove", "trash", { class: "button-danger button-small", "aria-label": `Remove ${domain._id}`, onclick: () => openRemove(domain, refresh) });
  return make(
    "article",
    { class: "panel stack", "aria-label": domain._id },
    make(
      "div",
      { class: "row row-spread" },
      make("div", { class: "row" }, make("h2", { class: "domain-name" }, domain._id), domain.verified ? badge("good", "verified") : badge("warn", "not verified yet")),
      remove,
    ),
    domain.verified ? owned(domain) : proof(domain, refresh),
  );
}

function owned(domain) {
  return make("p", { class: "soft" }, "Yours since ", day(domain.updated), ". Reserve any address at it, or listen to all of its mail with ", make("code", {}, `addresses=${domain._id}`), ".");
}

function proof(domain, refresh) {
  const check = button("Check", "check", { class: "button-primary" });
  check.addEventListener("click", () => verify(domain, check, refresh));
  return [
    make("p", {}, "Set this record where the DNS of the domain is managed, then press Check. A new record can take some minutes to be seen."),
    make(
      "dl",
      { class: "pairs" },
      make("dt", {}, "Type"),
      make("dd", {}, "TXT"),
      make("dt", {}, "Name"),
      make("dd", {}, make("span", { class: "mono" }, domain._id), make("span", { class: "soft small" }, " (the domain itself; some providers want @)")),
      make("dt", {}, "Value"),
      make("dd", {}, copyable(make("div", { class: "code code-wrap code-line" }, make("pre", { tabindex: "0" }, make("code", {}, domain.verificationTxt))))),
    ),
    domain.lastVerificationErrors && notice("warn", make("p", {}, `Last check: ${domain.lastVerificationErrors}.`)),
    make("div", {}, check),
  ];
}

async function verify(domain, check, refresh) {
  check.disabled = true;
  try {
    const checked = await request("POST", path("domains", domain._id, "verify"));
    toast(checked.verified ? `${domain._id} is yours.` : `Not yet: ${checked.lastVerificationErrors}.`, checked.verified ? "good" : "plain", domain._id);
    await refresh();
  } catch (error) {
    toast(error.message, "bad");
  } finally {
    check.disabled = false;
  }
}

function openAdd(refresh) {
  formDialog({
    title: "Add Domain",
    fields: [field("domain", "Domain", "One that you can set DNS records of.", { class: "input-mono", placeholder: "example.com", autocapitalize: "off", spellcheck: "false" })],
    submit: "Add Domain",
    work: async ({ domain }) => {
      if (!domain) {
        throw new Error("Fill in the domain, such as example.com.");
      }
      await request("POST", path("domains", domain));
      await refresh();
    },
  });
}

function openRemove(domain, refresh) {
  formDialog({
    title: `Remove ${domain._id}?`,
    fields: [make("p", {}, domain.verified ? "Its mail is not yours any more, and sockets that listen to the whole domain are closed." : "You can add it again; it gets another TXT value then.")],
    submit: "Remove",
    danger: true,
    cancel: "Keep it",
    work: async () => {
      await request("DELETE", path("domains", domain._id));
      toast(`${domain._id} was removed.`, "good", domain._id);
      await refresh();
    },
  });
}
