// What happened, the newest first: messages, and what came between. Bounded, so that a tab may stay open for weeks.

import { icon, make, time } from "./dom.js";
import { messageView, people } from "./message_view.js";

const ENTRIES = 200;
const SUBJECT_CHARS = 500;
const CHARS = 64 * 1024 * 1024; // of all messages together

export class Timeline {
  #list;
  #sizes = []; // of the entries, the oldest first; those of notes are 0
  #chars = 0;

  /** `list`: the element that holds the entries. */
  constructor(list) {
    this.#list = list;
  }

  get length() {
    return this.#sizes.length;
  }

  /** `text`: its JSON as sent; `key`: of the account that listens; `open`: whether to show it at once. */
  message(message, text, key, open) {
    this.#put(entry(message, key, open), text.length);
  }

  /** `kind`: "good", "warn" or "bad"; `more`: what the service said itself, or "". */
  note(kind, text, more = "") {
    const picture = icon(kind === "good" ? "check" : "alert");
    const said = more && make("span", { class: "note-said" }, `The service says: ${more}`);
    const words = make("span", {}, text, said && " ", said);
    this.#put(make("li", { class: `note note-${kind}` }, picture, words, time(new Date().toISOString())), 0);
  }

  clear() {
    this.#list.replaceChildren();
    this.#sizes = [];
    this.#chars = 0;
  }

  #put(element, chars) {
    this.#list.prepend(element);
    this.#sizes.push(chars);
    this.#chars += chars;
    while (this.#sizes.length > ENTRIES || (this.#chars > CHARS && this.#sizes.length > 1)) {
      this.#list.lastElementChild.remove();
      this.#chars -= this.#sizes.shift();
    }
  }
}

function entry(message, key, open) {
  const body = make("div", { class: "message-fold", id: `message-${message._id}`, hidden: !open });
  const chevron = icon("chevron");
  chevron.classList.add("message-chevron");
  const head = make(
    "button",
    { class: "message-head", type: "button", "aria-expanded": String(open), "aria-controls": body.id },
    make("span", { class: "message-from" }, message.from?.[0]?.name || people(message.from) || "nobody"),
    make("span", { class: "message-subject" }, message.subject.slice(0, SUBJECT_CHARS) || "(no subject)"),
    make("span", { class: "message-inbox" }, message.inbox),
    make("span", { class: "message-signs" }, message.attachments?.length > 0 && icon("clip"), time(message.received), chevron),
  );
  const element = make("li", { class: "message" }, make("h3", {}, head), body);
  const show = () => {
    element.classList.add("message-seen");
    body.replaceChildren(messageView(message, key));
  };
  head.addEventListener("click", () => {
    const opens = body.hidden;
    head.setAttribute("aria-expanded", String(opens));
    body.hidden = !opens;
    if (opens) {
      show();
    } else {
      body.replaceChildren(); // frames and long texts cost memory
    }
  });
  if (open) {
    show();
  }
  return element;
}
