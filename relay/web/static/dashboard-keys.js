// API keys: make one (shown once), revoke.

import { path } from "./api.js";
import { fill, make } from "./dom.js";
import { copyable } from "./shell.js";
import { toast } from "./toast.js";
import { request } from "./dashboard-account.js";
import { check, field, formDialog, lastingDialog } from "./dashboard-dialogs.js";
import { badge, button, day, head, loading, notice, table, trouble } from "./dashboard-parts.js";

const SOURCES = { file: "accounts file", cli: "relay command", api: "API or dashboard" };

/** The section. */
export function apiKeys(root) {
  const list = make("div", { class: "panel table-panel" }, loading());
  const add = button("Make API Key", "plus", { class: "button-primary", onclick: () => openMake(refresh) });
  root.append(head("API Keys", "One for each program, so that you can end one without the others.", add), list);

  async function refresh() {
    try {
      const found = await request("GET", "/api/keys");
      fill(list, table("Your API keys", ["Key", "Made", "By", ""], found.map((key) => row(key, refresh))));
    } catch (error) {
      fill(list, trouble(error, refresh));
    }
  }
  refresh();
}

function row(key, refresh) {
  const name = key.label || "no label";
  const revoke = button("Revoke", "trash", { class: "button-danger button-small", "aria-label": `Revoke ${name} (${key.id})`, onclick: () => openRevoke(key, refresh) });
  return [
    make("div", {}, make("strong", { class: key.label ? null : "soft" }, name), " ", key.current && badge("good", "this session"), limits(key), make("div", { class: "mono small soft" }, key.id)),
    make("span", { class: "small soft" }, day(key.created)),
    make("span", { class: "small soft" }, SOURCES[key.source] ?? key.source),
    make("div", { class: "row row-end" }, revoke),
  ];
}

/** What the key may less than the account. */
function limits({ address, readOnly, expires }) {
  const said = [address && `mail of ${address}`, readOnly && "read-only", expires && `until ${day(expires)}`].filter(Boolean);
  return said.length ? make("div", { class: "small" }, said.join(", ")) : null;
}

function openMake(refresh) {
  formDialog({
    title: "Make API Key",
    fields: [
      field("label", "Label (optional)", "Whose it is, or what for.", { maxlength: "100", placeholder: "end-to-end tests" }),
      field("address", "Only for the mail of (optional)", "One of your addresses: the key reaches no other mail, and not your account.", { maxlength: "320", type: "email", placeholder: "signup@example.com" }),
      field("expires", "Lives for (optional)", "A number with s, m, h or d. Without it the key works until you revoke it.", { maxlength: "20", placeholder: "30d", pattern: "[1-9][0-9]{0,5}[smhd]" }),
      check("readOnly", "Read-only", "It changes and deletes nothing.", false),
    ],
    submit: "Make API Key",
    work: async ({ label, address, expires, readOnly }) => {
      const made = await request("POST", "/api/keys", { body: { label, address, expires, readOnly } });
      await refresh();
      showOnce(made);
    },
  });
}

function showOnce(made) {
  const done = button("I have kept it", null, { class: "button-primary" });
  const hint = make("p", { class: "field-error", role: "status" });
  const box = lastingDialog(
    "Your new API key",
    () => fill(hint, "The key cannot be shown again. Copy it, then press “I have kept it”."),
    make(
      "div",
      { class: "stack" },
      notice("warn", make("p", {}, "Copy it now: it is shown this once. The service keeps only a fingerprint of it.")),
      copyable(make("div", { class: "code code-wrap code-line" }, make("pre", { tabindex: "0" }, make("code", { id: "new-key" }, made.key)))),
      hint,
      make("div", {}, done),
    ),
  );
  done.addEventListener("click", () => box.close());
  box.querySelector(".code-copy").focus(); // not the button that closes: a key press too many would lose the key
}

function openRevoke(key, refresh) {
  formDialog({
    title: `Revoke ${key.label || key.id}?`,
    fields: [
      make("p", {}, "Programs that use it are refused at once, and its sockets are closed."),
      key.current && notice("warn", make("p", {}, "It is the key of this session: you will be signed out.")),
      key.source === "file" && notice("warn", make("p", {}, "It stands in the accounts file, which brings it back when the service next starts. Whoever runs the service must remove it there.")),
    ],
    submit: "Revoke",
    danger: true,
    cancel: "Keep it",
    work: async () => {
      await request("DELETE", path("keys", key.id));
      toast("The key was revoked.", "good");
      await refresh();
    },
  });
}
