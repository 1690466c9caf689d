// One message, in all the ways one may want to see it.

import * as api from "./api.js";
import { download, fill, icon, make, size } from "./dom.js";
import { copy, copyable } from "./shell.js";
import { tabbed } from "./tabs.js";
import { toast } from "./toast.js";

const SHOWN_CHARS = 200_000; // of raw and JSON: more makes the page slow, and nobody reads it
const HTML_CHARS = 2_000_000; // more of one of these is no mail to look at, but one to choke on
const HTML_TAGS = 50_000;
const HTML_DEPTH = 500;
const NEED_NO_END = /^(?:area|base|body|br|col|dd|dt|embed|head|hr|html|img|input|li|link|meta|option|p|source|tbody|td|th|tr|wbr)$/i;
const ROWS = 500; // of headers
const PEOPLE = 20;
const PICTURE_BYTES = 4 * 1024 * 1024; // of one picture inside of a mail
const PICTURES = 20;

/** `message`: as the service sent it; `text`: the same as JSON; `key`: of the account that listens. */
export function messageView(message, text, key) {
  const attached = message.attachments ?? [];
  const attachments = new Attachments(message, key);
  const views = [
    message.html && { name: "HTML", show: (panel) => showHtml(panel, message, attachments) },
    { name: "Text", show: () => plain(message.text, "This mail has no text of its own.") },
    { name: "Headers", show: () => headers(message) },
    attached.length > 0 && { name: `Attachments (${attached.length})`, show: (panel) => showAttachments(panel, attachments) },
    { name: "Raw", show: () => raw(message) },
    { name: "JSON", show: () => json(message, text) },
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
  return make("dl", { class: "pairs" }, rows.filter(([, value]) => value).map(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function plain(text, otherwise) {
  return text ? block(text, "code-wrap") : make("p", { class: "soft" }, otherwise);
}

function block(text, kind = "") {
  const cut = text.length > SHOWN_CHARS;
  const code = make("code", {}, cut ? text.slice(0, SHOWN_CHARS) : text);
  const box = copyable(make("div", { class: `code ${kind}` }, make("pre", { tabindex: "0" }, code)));
  return cut ? [make("p", { class: "soft small" }, `The first ${SHOWN_CHARS.toLocaleString("en")} of ${text.length.toLocaleString("en")} characters.`), box] : box;
}

function headers(message) {
  const rows = Object.entries(message.headers ?? {}).flatMap(([name, values]) => [values].flat().map((value) => [name, value]));
  const cells = rows.slice(0, ROWS).map(([name, value]) => make("tr", {}, make("th", { scope: "row", class: "mono" }, name), make("td", { class: "mono" }, value)));
  const table = make("div", { class: "table-scroll" }, make("table", { class: "headers" }, make("tbody", {}, cells)));
  return [table, rows.length > ROWS && make("p", { class: "soft small" }, `The first ${ROWS} of ${rows.length}; the others are in Raw.`)];
}

function raw(message) {
  const bytes = () =>
    message.rawEncoding === "latin1" ? Uint8Array.from(message.raw, (character) => character.charCodeAt(0)) : message.raw;
  const keep = () => download(new Blob([bytes()], { type: "message/rfc822" }), `${message._id}.eml`);
  const button = make("button", { class: "button-small", type: "button", onclick: keep }, icon("download"), "Download .eml");
  return [make("div", { class: "row view-tools" }, button), block(message.raw ?? "")];
}

function json(message, text) {
  const button = make("button", { class: "button-small", type: "button", onclick: () => copy(text) }, icon("copy"), "Copy as sent");
  const hint = make("span", { class: "soft small" }, "Indented for reading; sent on one line.");
  return [make("div", { class: "row view-tools" }, button, hint), block(JSON.stringify(message, null, 2))];
}

/* ---- attachments: of the REST API, asked for once they are wanted ---- */

class Attachments {
  #message;
  #key;
  #list = null;

  constructor(message, key) {
    this.#message = message;
    this.#key = key;
  }

  get checksums() {
    return this.#message.attachments ?? [];
  }

  /** Their descriptions. Throws ApiError. */
  list() {
    this.#list ??= api.call("GET", this.#path(), { key: this.#key });
    this.#list.catch(() => {
      this.#list = null; // asked again the next time
    });
    return this.#list;
  }

  /** The bytes of one. Throws ApiError. */
  blob(checksum) {
    return api.blob(this.#path(checksum), { key: this.#key });
  }

  #path(...more) {
    return api.path("addresses", this.#message.inbox, "messages", this.#message._id, "attachments", ...more);
  }
}

async function showAttachments(panel, attachments) {
  fill(panel, make("p", { class: "soft" }, "Asking for their names …"));
  let listed;
  try {
    listed = await attachments.list();
  } catch (error) {
    const sums = attachments.checksums.map((sum) => make("li", { class: "mono" }, sum));
    fill(panel, make("p", {}, `Their names cannot be had: ${error.message}`), make("p", { class: "soft small" }, "MD5 of each, as the message has it:"), make("ul", {}, sums));
    return;
  }
  const rows = listed.map((one) => attachmentRow(one, attachments));
  const head = make("tr", {}, ["Name", "Type", "Size"].map((name) => make("th", { scope: "col" }, name)), make("td", {}));
  fill(panel, make("div", { class: "table-scroll" }, make("table", {}, make("thead", {}, head), make("tbody", {}, rows))));
}

function attachmentRow(one, attachments) {
  const name = one.fileName || "without a name";
  const keep = async () => {
    try {
      download(await attachments.blob(one.checksum), one.fileName || one.checksum);
    } catch (error) {
      toast(`${name} cannot be had: ${error.message}`, "bad");
    }
  };
  const button = make("button", { class: "button-small", type: "button", onclick: keep, "aria-label": `Download ${name}` }, icon("download"), "Download");
  return make("tr", {}, make("th", { scope: "row" }, name), make("td", { class: "mono" }, one.contentType), make("td", {}, size(one.length)), make("td", {}, button));
}

/* ---- HTML: in a frame without any rights, inside of a frame without a network ---- */

function showHtml(panel, message, attachments) {
  if (isBomb(message.html)) {
    fill(panel, make("p", { class: "soft" }, "This HTML is too long, or too deep, to be shown. Raw has it."));
    return;
  }
  const frame = make("iframe", { class: "letter", src: "/letter", sandbox: "allow-scripts", title: "HTML of the mail" });
  const post = (said) => frame.contentWindow?.postMessage(said, "*");
  const heard = ({ source, data }) => {
    if (!frame.isConnected) {
      removeEventListener("message", heard);
    } else if (source === frame.contentWindow && data === "ready") {
      post({ html: message.html });
    } else if (source === frame.contentWindow) {
      removeEventListener("message", heard);
      frame.before(remoteNote(data.remote) ?? "");
      pictures(data.pictures, attachments).then((found) => found && post({ pictures: found }), () => {}); // without, it is still the mail
    }
  };
  addEventListener("message", heard);
  fill(panel, frame);
}

/** Whether a browser would work on it for seconds: elements in each other cost it the square of their depth. */
function isBomb(html) {
  if (html.length > HTML_CHARS) {
    return true;
  }
  let depth = 0;
  let tags = 0;
  for (const [, end, name] of html.matchAll(/<(\/?)([a-z][a-z0-9]*)/gi)) {
    tags += 1;
    if (!NEED_NO_END.test(name)) {
      depth = Math.max(depth + (end ? -1 : 1), 0);
    }
    if (tags > HTML_TAGS || depth > HTML_DEPTH) {
      return true;
    }
  }
  return false;
}

function remoteNote(count) {
  if (!(count > 0)) {
    return null;
  }
  const things = count === 1 ? "One thing of another host was" : `${count} things of other hosts were`;
  return make("p", { class: "notice small" }, icon("eye"), make("span", {}, `${things} not loaded: loading a picture tells its sender that you read the mail.`));
}

/** Data URLs by Content-ID, of those that the mail brought along; null when there are none. */
async function pictures(wanted, attachments) {
  const listed = wanted.length > 0 ? await attachments.list() : [];
  const found = listed
    .filter((one) => wanted.includes(bare(one.contentId)) && /^image\/(?!svg)/.test(one.contentType) && one.length <= PICTURE_BYTES)
    .slice(0, PICTURES);
  const loaded = found.map(async (one) => [bare(one.contentId), await dataUrl(await attachments.blob(one.checksum), one.contentType)]);
  return found.length > 0 ? Object.fromEntries(await Promise.all(loaded)) : null;
}

function bare(contentId) {
  return (contentId ?? "").trim().replace(/^<|>$/g, "");
}

function dataUrl(blob, type) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob.slice(0, blob.size, type));
  });
}
