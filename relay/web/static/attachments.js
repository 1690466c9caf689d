// The attachments of a message: of the REST API, asked for once they are wanted.

import * as api from "./api.js";
import { download, fill, icon, make, size } from "./dom.js";
import { toast } from "./toast.js";

export class Attachments {
  #message;
  #key;
  #list = null;

  /** Asks nothing yet. `key`: of the account whose the message is. */
  constructor(message, key) {
    this.#message = message;
    this.#key = key;
  }

  /** MD5 of each, as the message has them. */
  get checksums() {
    return this.#message.attachments ?? [];
  }

  /** Their descriptions, as REST has them. Throws ApiError. */
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
    const { inbox, _id } = this.#message;
    return api.path("addresses", inbox, "messages", _id, "attachments", ...more);
  }
}

/** Fills `panel` with their names, and a button for each to keep it. */
export async function showAttachments(panel, attachments) {
  fill(panel, make("p", { class: "soft" }, "Asking for their names …"));
  try {
    fill(panel, table(await attachments.list(), attachments));
  } catch (error) {
    fill(panel, nameless(attachments.checksums, error.message));
  }
}

function table(listed, attachments) {
  const names = ["Name", "Type", "Size"].map((name) => make("th", { scope: "col" }, name));
  const last = make("th", { scope: "col" }, make("span", { class: "visually-hidden" }, "To keep"));
  const head = make("thead", {}, make("tr", {}, names, last));
  const body = make("tbody", {}, listed.map((one) => row(one, attachments)));
  return make("div", { class: "table-scroll files" }, make("table", {}, head, body));
}

function nameless(checksums, why) {
  return [
    make("p", {}, `Their names cannot be had: ${why}`),
    make("p", { class: "soft small" }, "MD5 of each, as the message has it:"),
    make("ul", {}, checksums.map((sum) => make("li", { class: "mono" }, sum))),
  ];
}

function row(one, attachments) {
  const name = one.fileName || "without a name";
  const keep = async () => {
    try {
      download(await attachments.blob(one.checksum), one.fileName || one.checksum);
    } catch (error) {
      toast(`${name} cannot be had: ${error.message}`, "bad");
    }
  };
  const attributes = { class: "button-small", type: "button", onclick: keep, "aria-label": `Download ${name}` };
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, name),
    make("td", { class: "mono" }, one.contentType),
    make("td", {}, size(one.length)),
    make("td", {}, make("button", attributes, icon("download"), "Download")),
  );
}
