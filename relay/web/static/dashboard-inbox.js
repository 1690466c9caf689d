// The inbox view: messages of all addresses or of one, found by words, and one of them opened beside the others.

import { path } from "./api.js";
import { fill, icon, make, time } from "./dom.js";
import { toast } from "./toast.js";
import { request } from "./dashboard-account.js";
import { showLetter } from "./dashboard-letter.js";
import { button, count, head, loading, repeat, trouble, troubles } from "./dashboard-parts.js";

const PAUSE_MS = 3_000;
const PAGE = 50;
const MOST = 1000; // that the service lists at once
const TYPING_MS = 250;
const ALL = "all"; // in place of an address, in the hash

/** The section. `rest`: whose messages, and which is open; both may be missing. New mail appears by itself. */
export function inbox(root, rest, signal) {
  const view = new InboxView(root, signal);
  view.begin(rest);
  return (moved) => view.moved(moved);
}

/** `#inbox/…` of some parts. */
function hash(...parts) {
  return `#${["inbox", ...parts].map(encodeURIComponent).join("/")}`;
}

class InboxView {
  constructor(root, signal) {
    this.signal = signal;
    this.addresses = new Map();
    this.scope = null; // ALL or an address; null before the first hash was read
    this.open = { email: "", id: "" };
    this.limit = PAGE;
    this.last = ""; // what the list shows, as JSON
    this.reading = new AbortController();
    this.select = make("select", { "aria-label": "Messages of", onchange: () => this.go() });
    this.search = make("input", { type: "search", placeholder: "Search all mail", "aria-label": "Search all mail by sender, recipient or subject", autocomplete: "off", maxlength: "200" });
    this.list = make("div", { class: "panel mail-list" }, loading());
    this.letter = make("div", { class: "panel mail-letter" });
    this.body = make("div", { class: "mail" }, this.list, this.letter);
    this.troubles = troubles();
    root.append(head("Inbox", null, this.select, this.search), this.troubles.place, this.body);
    let typing = 0;
    this.search.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => this.find(), TYPING_MS);
    });
  }

  async begin(rest) {
    try {
      const found = await request("GET", "/api/addresses", { signal: this.signal });
      found.sort((one, other) => one._id.localeCompare(other._id));
      this.addresses = new Map(found.map((one) => [one._id, one]));
    } catch (error) {
      if (!this.signal.aborted) {
        fill(this.body, trouble(error, () => this.begin(rest)));
      }
      return;
    }
    fill(this.select, make("option", { value: ALL }, "All addresses"), [...this.addresses.keys()].map((one) => make("option", { value: one }, one)));
    fill(this.body, this.list, this.letter);
    this.moved(rest);
    repeat(() => this.load(), PAUSE_MS, this.signal);
  }

  /** The hash has changed, or is read for the first time. */
  moved([scope = ALL, ...rest]) {
    const [email = "", id = ""] = scope === ALL ? rest : [scope, ...rest];
    const byPerson = this.scope !== null; // else the page was opened here
    if (scope !== this.scope) {
      this.scope = scope;
      if (scope !== ALL && !this.addresses.has(scope) && ![...this.select.options].some((option) => option.value === scope)) {
        this.select.append(make("option", { value: scope }, scope)); // at a domain, or another's: the service decides
      }
      this.select.value = scope;
      this.search.value = "";
      this.find();
    }
    this.show({ email, id }, byPerson);
  }

  /** Shows the messages of the address that was chosen. */
  go() {
    location.hash = this.select.value === ALL ? hash() : hash(this.select.value);
  }

  find() {
    this.limit = PAGE;
    this.last = "";
    fill(this.list, loading());
    if (this.search.value && this.scope !== ALL) {
      location.hash = hash();
    }
    this.load();
  }

  show(open, focus = false) {
    this.reading.abort();
    this.reading = new AbortController();
    this.open = open;
    this.body.classList.toggle("mail-open", open.id !== "");
    this.mark();
    if (open.id) {
      const back = hash(...(this.scope === ALL ? [] : [this.scope]));
      const signal = AbortSignal.any([this.signal, this.reading.signal]);
      showLetter(this.letter, { ...open, back, focus, changed: (what) => this.changed(what, back) }, signal);
    } else {
      fill(this.letter, make("p", { class: "soft mail-none" }, "Choose a message to read it here."));
    }
  }

  changed(what, back) {
    if (what === "deleted" || what === "unread") {
      location.hash = back;
    }
    this.load();
  }

  async load() {
    const asked = this.url();
    try {
      const found = await request("GET", asked, { signal: this.signal });
      const messages = found.messages ?? found;
      const now = JSON.stringify(messages);
      this.troubles.tell(null);
      if (asked === this.url() && now !== this.last) {
        this.last = now;
        this.fill(messages);
      }
    } catch (error) {
      if (!this.signal.aborted && asked === this.url()) {
        this.troubles.tell(error);
        if (this.last === "") {
          fill(this.list, blank("Nothing to show", "What went wrong stands above."));
        }
      }
    }
  }

  url() {
    const words = this.search.value.trim();
    if (words && this.scope === ALL) {
      return `/api/inbox-search?query=${encodeURIComponent(words)}`;
    }
    return `${this.scope === ALL ? "/api/inbox" : path("addresses", this.scope, "messages")}?limit=${this.limit}`;
  }

  fill(messages) {
    const focused = document.activeElement?.dataset?.focus;
    fill(this.list, messages.length > 0 ? this.messages(messages) : this.nothing());
    this.body.classList.toggle("mail-empty", messages.length === 0);
    this.mark();
    if (focused) {
      [...this.list.querySelectorAll("[data-focus]")].find((one) => one.dataset.focus === focused)?.focus();
    }
  }

  messages(found) {
    const unread = found.filter((one) => !one.read).length;
    const more = found.length >= this.limit && this.limit < MOST && !this.search.value;
    return [
      make("p", { class: "small soft mail-count", role: "status" }, `${more ? "The newest " : ""}${count(found.length, "message")}, ${unread} unread`),
      make("ul", {}, found.map((one) => this.message(one))),
      more && button("Show more", null, { class: "button-small", onclick: () => this.more() }),
    ];
  }

  more() {
    this.limit = Math.min(this.limit * 4, MOST);
    this.load();
  }

  message(one) {
    const href = this.scope === ALL ? hash(ALL, one.inbox, one._id) : hash(this.scope, one._id);
    const subject = one.subject || "(no subject)";
    return make(
      "li",
      { class: one.read ? "mail-item" : "mail-item mail-unread" },
      make(
        "a",
        { href, dataset: { id: one._id, focus: one._id } },
        make("span", { class: "mail-from" }, !one.read && make("span", { class: "visually-hidden" }, "Unread: "), senders(one)),
        make("span", { class: "mail-time small soft" }, one.attachments?.length > 0 && [icon("clip"), make("span", { class: "visually-hidden" }, "With attachments, ")], time(one.received)),
        make("span", { class: "mail-line mail-title" }, subject),
        this.scope === ALL && make("span", { class: "mail-line mail-to small soft" }, `to ${one.inbox}`),
      ),
      this.star(one, subject),
    );
  }

  star(one, subject) {
    const starred = Boolean(one.savedBy);
    const attributes = { type: "button", class: "button-quiet button-icon star", "aria-pressed": String(starred), "aria-label": `Star: ${subject}`, dataset: { focus: `star ${one._id}` } };
    const star = make("button", attributes, icon(starred ? "star-full" : "star"));
    star.addEventListener("click", async () => {
      try {
        await request("PUT", path("addresses", one.inbox, "messages", one._id, "star"));
        await this.load();
        if (this.open.id === one._id) {
          this.show(this.open);
        }
      } catch (error) {
        toast(error.message, "bad");
      }
    });
    return star;
  }

  /** Which of the list is open. */
  mark() {
    for (const link of this.list.querySelectorAll("a[data-id]")) {
      if (link.dataset.id === this.open.id) {
        link.setAttribute("aria-current", "true");
      } else {
        link.removeAttribute("aria-current");
      }
    }
  }

  nothing() {
    const manage = make("a", { class: "button", href: "#addresses" }, "Manage Email Addresses");
    const on = [...this.addresses.values()].filter((one) => one.enablews);
    if (this.search.value) {
      return blank("No mail has this in its sender, recipient or subject", "Try fewer letters.");
    }
    if (this.scope === ALL && on.length === 0) {
      return blank("No address gets mail yet", "Reserve an address, and tick the box for the WebSocket in its settings.", manage);
    }
    if (this.addresses.get(this.scope)?.enablews === false) {
      return blank("This address is off", "Its mail is refused. Tick the box for the WebSocket in its settings.", manage);
    }
    const email = this.scope === ALL ? on[0]._id : this.scope;
    return blank("No mail yet", `Send one to ${email}, and it appears here.`, sample(email, () => this.load()));
  }
}

/** By name where there is one: what is left of a narrow line. */
function senders(one) {
  return (one.from ?? []).map(({ name, address }) => name || address).join(", ") || "unknown sender";
}

function blank(title, text, ...actions) {
  return make("div", { class: "empty" }, icon("inbox"), make("h2", {}, title), make("p", {}, text), actions);
}

/** A button that sends a mail to the address, by the way that all mail takes. */
function sample(email, sent) {
  const send = button("Send a sample mail", "send", { class: "button-primary" });
  send.addEventListener("click", async () => {
    send.disabled = true;
    try {
      await request("POST", path("addresses", email, "sample"));
      await sent();
    } catch (error) {
      toast(error.message, "bad");
    } finally {
      send.disabled = false;
    }
  });
  return send;
}
