// The inbox view: which address, its messages, and one of them opened beside them.

import { path } from "./api.js";
import { fill, icon, make, time } from "./dom.js";
import { toast } from "./toast.js";
import { request } from "./dashboard-account.js";
import { people, showLetter } from "./dashboard-letter.js";
import { button, empty, head, loading, notice, repeat, trouble } from "./dashboard-parts.js";

const PAUSE_MS = 4_000;
const PAGE = 50;
const MOST = 1000; // that the service lists at once

/** The section. `rest`: the address and the message, both perhaps missing. New mail appears by itself. */
export function inbox(root, rest, signal) {
  const view = new InboxView(root, signal);
  view.begin(rest);
  return (moved) => view.moved(moved);
}

class InboxView {
  constructor(root, signal) {
    this.signal = signal;
    this.email = "";
    this.id = "";
    this.limit = PAGE;
    this.last = ""; // what the list shows, as JSON
    this.reading = new AbortController();
    this.select = make("select", { "aria-label": "Address", class: "input-mono", onchange: () => this.go(this.select.value) });
    this.list = make("div", { class: "panel mail-list" }, loading());
    this.letter = make("div", { class: "panel mail-letter" });
    this.body = make("div", { class: "mail" }, this.list, this.letter);
    const refresh = button("Refresh", "refresh", { onclick: () => this.load() });
    this.root = root;
    root.append(head("Inbox", null, this.select, refresh), this.body);
  }

  async begin(rest) {
    try {
      const found = await request("GET", "/api/addresses", { signal: this.signal });
      this.addresses = new Map(found.sort((one, other) => one._id.localeCompare(other._id)).map((one) => [one._id, one]));
    } catch (error) {
      if (!this.signal.aborted) {
        fill(this.body, trouble(error));
      }
      return;
    }
    if (this.addresses.size === 0) {
      const add = make("a", { class: "button button-primary", href: "#addresses" }, "Manage Email Addresses");
      this.body.replaceWith(empty("inbox", "No address yet", "Reserve an address first; its mail is read here.", add));
      this.select.hidden = true;
      return;
    }
    fill(this.select, [...this.addresses.keys()].map((one) => make("option", { value: one }, one)));
    this.moved(rest);
    repeat(() => this.load(), PAUSE_MS, this.signal);
  }

  /** The hash has changed, or is read for the first time. */
  moved([email, id = ""]) {
    const first = [...this.addresses.values()].find((one) => one.enablews) ?? [...this.addresses.values()][0];
    const wanted = email ?? first._id;
    const another = wanted !== this.email;
    this.email = wanted;
    if (!this.addresses.has(wanted) && ![...this.select.options].some((option) => option.value === wanted)) {
      this.select.append(make("option", { value: wanted }, wanted)); // of a domain, or another's: the service decides
    }
    this.select.value = wanted;
    if (another) {
      this.limit = PAGE;
      this.last = "";
      fill(this.list, loading());
      this.load();
    }
    this.open(id);
  }

  go(email) {
    location.hash = `#inbox/${encodeURIComponent(email)}`;
  }

  open(id) {
    this.reading.abort();
    this.reading = new AbortController();
    this.id = id;
    this.body.classList.toggle("mail-open", id !== "");
    this.mark();
    if (id) {
      showLetter(this.letter, this.email, id, (what) => this.changed(what), AbortSignal.any([this.signal, this.reading.signal]));
    } else {
      fill(this.letter, make("p", { class: "soft mail-none" }, "Choose a message to read it here."));
    }
  }

  changed(what) {
    if (what === "deleted" || what === "unread") {
      this.go(this.email);
    }
    this.load();
  }

  async load() {
    const email = this.email;
    try {
      const found = await request("GET", `${path("addresses", email, "messages")}?limit=${this.limit}`, { signal: this.signal });
      const now = JSON.stringify(found);
      if (email === this.email && now !== this.last) {
        this.last = now;
        this.show(found);
      }
    } catch (error) {
      if (!this.signal.aborted && email === this.email) {
        this.last = "";
        fill(this.list, trouble(error));
      }
    }
  }

  show(found) {
    const focused = document.activeElement?.dataset?.focus;
    fill(this.list, found.length > 0 ? this.messages(found) : this.nothing());
    this.mark();
    if (focused) {
      [...this.list.querySelectorAll("[data-focus]")].find((one) => one.dataset.focus === focused)?.focus();
    }
  }

  messages(found) {
    const unread = found.filter((one) => !one.read).length;
    const more = found.length >= this.limit && this.limit < MOST;
    return [
      make("p", { class: "small soft mail-count", role: "status" }, `${found.length}${more ? " or more" : ""} messages, ${unread} unread`),
      make("ul", {}, found.map((one) => this.message(one))),
      more && button("Show more", null, { class: "button-small", onclick: () => this.more() }),
    ];
  }

  more() {
    this.limit = Math.min(this.limit * 4, MOST);
    this.load();
  }

  message(one) {
    const href = `#inbox/${encodeURIComponent(this.email)}/${encodeURIComponent(one._id)}`;
    const starred = Boolean(one.savedBy);
    const subject = one.subject || "(no subject)";
    const star = make("button", { type: "button", class: "button-quiet button-icon star", "aria-pressed": String(starred), "aria-label": `Star: ${subject}`, dataset: { focus: `star ${one._id}` } }, icon(starred ? "star-full" : "star"));
    star.addEventListener("click", () => this.star(one));
    return make(
      "li",
      { class: one.read ? "mail-item" : "mail-item mail-unread" },
      make(
        "a",
        { href, dataset: { id: one._id, focus: one._id } },
        make("span", { class: "mail-from" }, !one.read && make("span", { class: "visually-hidden" }, "Unread: "), people(one.from)),
        make("span", { class: "mail-time small soft" }, time(one.received)),
        make("span", { class: "mail-line" }, subject, one.attachments?.length > 0 && [" ", icon("clip"), make("span", { class: "visually-hidden" }, "with attachments")]),
      ),
      star,
    );
  }

  async star(one) {
    try {
      await request("PUT", path("addresses", this.email, "messages", one._id, "star"));
      await this.load();
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  /** Which of the list is open. */
  mark() {
    for (const link of this.list.querySelectorAll("a[data-id]")) {
      if (link.dataset.id === this.id) {
        link.setAttribute("aria-current", "true");
      } else {
        link.removeAttribute("aria-current");
      }
    }
  }

  nothing() {
    const off = this.addresses.get(this.email)?.enablews === false;
    if (off) {
      return [notice("warn", make("p", {}, "The WebSocket is off for this address, so its mail is refused. Tick the box in its settings.")), make("a", { class: "button button-small", href: "#addresses" }, "Manage Email Addresses")];
    }
    return make("div", { class: "empty" }, icon("inbox"), make("h2", {}, "No mail yet"), make("p", {}, `Send one to ${this.email}, and it appears here.`));
  }
}
