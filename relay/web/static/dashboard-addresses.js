// Manage Email Addresses: reserve, settings with the box for the WebSocket, release.

import { path } from "./api.js";
import { fill, make } from "./dom.js";
import { toast } from "./toast.js";
import { me, request } from "./dashboard-account.js";
import { check, field, formDialog } from "./dashboard-dialogs.js";
import { badge, button, count, day, empty, head, loading, notice, table, trouble } from "./dashboard-parts.js";

const BOX = "Forward all incoming emails via web socket";
const FEW = 8; // that are found without a filter
const SHOWN = 300;

/** The section. */
export function addresses(root, _rest, _signal) {
  const add = button("Add Email Address", "plus", { class: "button-primary", onclick: () => openAdd(refresh) });
  const credits = make("p", { class: "soft", role: "status" });
  const filter = make("input", { type: "search", hidden: true, "aria-label": "Filter by address or note", placeholder: "Filter by address or note", autocomplete: "off" });
  const list = make("div", { class: "stack" }, loading());
  root.append(head("Manage Email Addresses", "Mail to these addresses is yours alone. What the WebSocket is on for is kept and forwarded.", add), credits, filter, list);
  let found = [];
  const show = () => fill(list, found.length > 0 ? filtered(found, filter.value.trim().toLowerCase(), refresh) : nothing(refresh));
  filter.addEventListener("input", show);

  async function refresh() {
    try {
      found = await request("GET", "/api/addresses");
      found.sort((one, other) => one._id.localeCompare(other._id));
      add.hidden = found.length === 0; // it stands in the middle then
      filter.hidden = found.length <= FEW && !filter.value;
      show();
      fill(credits, await creditsText(found.length));
    } catch (error) {
      fill(list, trouble(error, refresh));
    }
  }
  refresh();
}

function nothing(refresh) {
  const add = button("Add Email Address", "plus", { class: "button-primary", onclick: () => openAdd(refresh) });
  return empty("mail", "No address yet", "Reserve one: a name at a domain of this service, or at a domain of your own.", add);
}

async function creditsText(used) {
  const account = await me().catch(() => null);
  const left = account?.privateAddressCredits;
  const reserved = `${count(used, "address", "addresses")} reserved`;
  return Number.isInteger(left) ? `${reserved} · ${count(left, "credit")} left` : reserved;
}

/** The table of those that have `wanted` in their name or note. */
function filtered(found, wanted, refresh) {
  const some = found.filter((one) => `${one._id} ${one.info ?? ""}`.toLowerCase().includes(wanted));
  return make(
    "div",
    { class: "panel table-panel" },
    some.length > 0 ? rows(some.slice(0, SHOWN), refresh) : make("p", { class: "soft" }, "No address has this in its name or note."),
    some.length > SHOWN && make("p", { class: "soft" }, `${SHOWN} of ${some.length} are shown; filter to find the others.`),
  );
}

function rows(found, refresh) {
  return table("Your email addresses", ["Address", "WebSocket", "Reserved", ""], found.map((one) => row(one, refresh)));
}

function row(address, refresh) {
  const settings = button("Settings", "settings", { class: "button-small", "aria-label": `Settings of ${address._id}`, onclick: () => openSettings(address, refresh) });
  return [
    make("div", {}, make("strong", { class: "mono address" }, address._id), address.info && make("div", { class: "small soft" }, address.info)),
    address.enablews ? badge("good", "on") : make("div", { class: "row" }, badge("warn", "off"), make("span", { class: "small soft" }, "its mail is refused")),
    make("span", { class: "small soft" }, day(address.created)),
    make("div", { class: "row row-end" }, address.enablews && make("a", { class: "button button-small", href: `#inbox/${encodeURIComponent(address._id)}`, "aria-label": `Inbox of ${address._id}` }, "Inbox"), settings),
  ];
}

function openAdd(refresh) {
  formDialog({
    title: "Add Email Address",
    fields: [
      field("address", "Email address", "At a domain of this service, or at one of your custom domains.", { type: "email", class: "input-mono", placeholder: "name@example.com", autocapitalize: "off", spellcheck: "false" }),
      field("info", "Note (optional)", "For you alone: what the address is for.", { maxlength: "1000" }),
    ],
    submit: "Add Email Address",
    work: async ({ address, info }) => {
      if (!address) {
        throw new Error("Fill in the address to reserve, such as name@example.com.");
      }
      const made = await request("POST", path("addresses", address), { body: { info } });
      toast(`${made._id} is yours. To get its mail, choose Settings and tick the box.`, "good", made._id);
      await refresh();
    },
  });
}

function openSettings(address, refresh) {
  const release = button("Release this address…", "trash", { class: "button-danger button-small", onclick: () => openRelease(address, refresh, box) });
  const box = formDialog({
    title: "Settings",
    fields: [
      make("p", { class: "mono dialog-subject" }, address._id),
      check("enablews", BOX, "While it is off, mail to this address is refused, and nothing of it is kept.", address.enablews),
      field("info", "Note (optional)", "", { maxlength: "1000", value: address.info ?? "" }),
    ],
    submit: "Save",
    work: async ({ enablews, info }) => {
      await request("PUT", path("addresses", address._id), { body: { enablews, info } });
      toast(enablews ? `Mail to ${address._id} is forwarded from now on.` : `The WebSocket is off for ${address._id}.`, "good", address._id);
      await refresh();
    },
    more: make("div", { class: "dialog-more" }, release),
  });
}

function openRelease(address, refresh, settings) {
  settings.close();
  formDialog({
    title: `Release ${address._id}?`,
    fields: [notice("warn", make("p", {}, "Its kept mail is deleted, sockets that listen to it are closed, and anybody may reserve it next. This cannot be undone."))],
    submit: "Release",
    danger: true,
    cancel: "Keep it",
    work: async () => {
      await request("DELETE", path("addresses", address._id));
      toast(`${address._id} was released.`, "good", address._id);
      await refresh();
    },
  });
}
