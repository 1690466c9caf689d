// One message, in all the ways one may want to see it.

import { Attachments, showAttachments } from "./attachments.js";
import { download, icon, make, size } from "./dom.js";
import { showHtml } from "./html_view.js";
import { linksTab } from "./links.js";
import { copyable } from "./shell.js";
import { tabbed } from "./tabs.js";

const SHOWN_CHARS = 200_000; // of raw and JSON: more makes the page slow, and nobody reads it
const ROWS = 500; // of headers
const PEOPLE = 20;

/** `message`: as the service sent it; `key`: of the account that listens. */
export function messageView(message, key) {
  const attachments = new Attachments(message, key);
  const count = attachments.checksums.length;
  const views = [
    message.html && { name: "HTML", show: (panel) => showHtml(panel, message.html, attachments) },
    { name: "Text", show: () => plain(message.text) },
    linksTab(message.links),
    { name: "Headers", show: () => headers(message) },
    count > 0 && { name: `Attachments (${count})`, show: (panel) => showAttachments(panel, attachments) },
    { name: "Raw", show: () => raw(message) },
    { name: "JSON", show: () => json(message) },
  ];
  return make("div", { class: "message-body" }, facts(message), tabbed("Views of the message", views.filter(Boolean)));
}

/** `Ann <ann@x.test>, …`, of a list of mailboxes. */
export function people(mailboxes) {
  const all = mailboxes ?? [];
  const shown = all.slice(0, PEOPLE).map(({ name, address }) => (name ? `${name} <${address}>` : address));
  return [...shown, ...(all.length > PEOPLE ? [`and ${all.length - PEOPLE} more`] : [])].join(", ");
}

function facts(message) {
  const rows = [
    ["From", people(message.from) || "nobody"],
    ["To", people(message.to)],
    ["Copy", people(message.cc)],
    ["Inbox", message.inbox],
    ["Rerouted from", message.originalInbox === message.inbox ? "" : message.originalInbox],
    ["Size", size(message.size)],
    ["Id", make("span", { class: "mono" }, message._id)],
  ];
  const shown = rows.filter(([, value]) => value);
  return make("dl", { class: "pairs" }, shown.map(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function plain(text) {
  return text ? block(text, "code-wrap") : make("p", { class: "soft" }, "This mail has no text of its own.");
}

/** A box of code with a copy button for all of it; too long a text is cut, and said to be. */
export function block(text, kind = "") {
  const cut = text.length > SHOWN_CHARS;
  const code = make("code", {}, cut ? text.slice(0, SHOWN_CHARS) : text);
  const box = copyable(make("div", { class: `code ${kind}` }, make("pre", { tabindex: "0" }, code)), text);
  const [shown, all] = [SHOWN_CHARS, text.length].map((count) => count.toLocaleString("en"));
  return cut ? [make("p", { class: "soft small" }, `The first ${shown} of ${all} characters.`), box] : box;
}

function headers(message) {
  const every = Object.entries(message.headers ?? {});
  const rows = every.flatMap(([name, values]) => [values].flat().map((value) => [name, value]));
  const row = ([name, value]) =>
    make("tr", {}, make("th", { scope: "row", class: "mono" }, name), make("td", { class: "mono" }, value));
  const table = make("table", { class: "headers" }, make("tbody", {}, rows.slice(0, ROWS).map(row)));
  const more = `The first ${ROWS} of ${rows.length}; the others are in Raw.`;
  return [
    make("div", { class: "table-scroll" }, table),
    rows.length > ROWS && make("p", { class: "soft small" }, more),
  ];
}

function raw(message) {
  const bytes = () =>
    message.rawEncoding === "latin1"
      ? Uint8Array.from(message.raw, (character) => character.charCodeAt(0))
      : message.raw;
  const keep = () => download(new Blob([bytes()], { type: "message/rfc822" }), `${message._id}.eml`);
  const attributes = { class: "button-small", type: "button", onclick: keep };
  const button = make("button", attributes, icon("download"), "Download .eml");
  return [make("div", { class: "row view-tools" }, button), block(message.raw ?? "")];
}

function json(message) {
  const hint = make("p", { class: "soft small view-tools" }, "Indented for reading; sent on one line.");
  return [hint, block(JSON.stringify(message, null, 2))];
}
