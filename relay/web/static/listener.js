// A socket that stays: connects, comes back when it was cut off, and resumes where it stood. Knows nothing of the page.

import * as closes from "./closes.js";
import { inWordsOfPages } from "./advice.js";
import { socketUrl } from "./service.js";

const PATIENCE_MS = 15_000; // for a handshake
const FIRST_MS = 1_000; // the first wait is up to this; it doubles from failure to failure
const FIRST_OF_RESTART_MS = 5_000; // so that all listeners of a service do not come back at once
const LONGEST_MS = 30_000;
const LATER_MS = 20_000; // at least, when there are too many sockets
const PROVEN_MS = 10_000; // a connection that lasted so long was a good one
const TICK_MS = 5_000;
const SLEPT_MS = 45_000; // between two ticks: the computer slept, and the connection may be dead
const MARGIN_SECONDS = 2; // the first message after the socket opened may be older than its opening here
const BEFORE = '{"status":200,"email":'; // and } behind: what the envelope puts around a message
const CURSORS_SENT = 100; // the newest; a longer URL is cut by many proxies. The others are read by time

/** The inbox's tag and the number of an `_id` (`<16 hex>-<ms>-<seq>`); null when it is none. */
function parse(id) {
  const found = /^([0-9a-f]{16})-\d+-(\d+)$/.exec(id);
  return found && { tag: found[1], seq: Number(found[2]) };
}

/**
 * Where a listener stands: the last message of each inbox, and since when it listens, for inboxes that had none.
 */
class Cursors {
  #last = new Map(); // inbox -> _id, the newest last
  #began = null; // performance.now()

  /** The first connection stands. */
  begin() {
    this.#began ??= performance.now();
  }

  /** Whether the message is new; if so it is where the inbox stands now. */
  take(message) {
    const mine = parse(message._id);
    const known = parse(this.#last.get(message.inbox) ?? "");
    if (mine && known && mine.tag === known.tag && mine.seq <= known.seq) {
      return false;
    }
    this.#last.delete(message.inbox);
    this.#last.set(message.inbox, message._id);
    return true;
  }

  /** For the query; "" before the first connection. */
  since() {
    if (this.#began === null) {
      return "";
    }
    const age = Math.ceil((performance.now() - this.#began) / 1000) + MARGIN_SECONDS;
    return [...[...this.#last.values()].slice(-CURSORS_SENT), `${age}s`].join(",");
  }
}

/**
 * Tells what happens by `on`, an object of functions:
 * `state(name, detail)`: "connecting", "listening", "waiting" (`{code, text, said, seconds}`) or "ended" (the same, or
 * null when it was stopped); `message(object, text)`: a new message, and its JSON as sent; `gap(frame)`.
 */
export class Listener {
  #url;
  #protocols;
  #on;
  #cursors = new Cursors();
  #socket = null;
  #failures = 0;
  #timer = 0;
  #ticker = 0;
  #said = ""; // the last words of the service before it closed

  /** `base`: of the service, https://…; `names`: addresses and domains. */
  constructor({ base, key, names, on }) {
    const url = socketUrl(base);
    url.search = new URLSearchParams({ addresses: names.join(","), frames: "envelope" });
    this.#url = url;
    this.#protocols = ["relay", `relay.key.${key}`];
    this.#on = on;
  }

  /** Begins, and goes on until `stop`, or until coming back would not help. */
  start() {
    let last = Date.now();
    this.#ticker = setInterval(() => {
      const now = Date.now();
      if (now - last > SLEPT_MS) {
        this.hurry();
      }
      last = now;
    }, TICK_MS);
    addEventListener("online", this.hurry);
    this.#connect();
  }

  /** Ends for good. */
  stop() {
    this.#leave();
    this.#drop();
    this.#on.state("ended", null);
  }

  /** Connects anew at once: the wait is over, or the connection is in doubt. */
  hurry = () => {
    this.#drop();
    this.#connect();
  };

  #leave() {
    clearTimeout(this.#timer);
    clearInterval(this.#ticker);
    removeEventListener("online", this.hurry);
  }

  #drop() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null; // first: what it still tells is heard by nobody
    socket?.close();
  }

  #connect() {
    clearTimeout(this.#timer);
    this.#said = "";
    this.#on.state("connecting", null);
    const since = this.#cursors.since();
    if (since) {
      this.#url.searchParams.set("since", since);
    }
    let socket;
    try {
      socket = new WebSocket(this.#url, this.#protocols);
    } catch {
      this.#leave();
      const text = "The API key has characters that no key has.";
      this.#on.state("ended", { code: 0, text, said: "", seconds: 0 });
      return;
    }
    this.#socket = socket;
    this.#timer = setTimeout(() => socket.close(), PATIENCE_MS);
    let openedAt = Infinity;
    const mine = (heard) => (event) => socket === this.#socket && heard(event);
    socket.onopen = mine(() => {
      clearTimeout(this.#timer);
      openedAt = performance.now();
    });
    socket.onmessage = mine((event) => this.#heard(event.data));
    socket.onclose = mine((event) => this.#closed(event, performance.now() - openedAt > PROVEN_MS));
  }

  #listening() {
    this.#cursors.begin();
    this.#on.state("listening", null);
  }

  #heard(text) {
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return;
    }
    if (typeof frame.email?._id === "string") {
      this.#failures = 0;
      if (this.#cursors.take(frame.email)) {
        const sent = text.startsWith(BEFORE) ? text.slice(BEFORE.length, -1) : JSON.stringify(frame.email);
        this.#on.message(frame.email, sent);
      }
    } else if (frame.msg === "Listening") {
      this.#listening();
    } else if (frame.msg === "Gap") {
      this.#on.gap(frame);
    } else if (frame.error) {
      this.#said = inWordsOfPages(String(frame.error));
    }
  }

  #closed(event, proven) {
    clearTimeout(this.#timer);
    this.#socket = null;
    const { text, retry } = closes.close(event.code);
    const detail = { code: event.code, text, said: this.#said, seconds: 0 };
    if (!retry) {
      this.#leave();
      this.#on.state("ended", detail);
      return;
    }
    this.#failures = proven ? 0 : this.#failures;
    const wait = this.#wait(event.code);
    this.#timer = setTimeout(() => this.#connect(), wait);
    this.#on.state("waiting", { ...detail, seconds: Math.ceil(wait / 1000) });
  }

  #wait(code) {
    const first = code === 1012 ? FIRST_OF_RESTART_MS : FIRST_MS;
    const most = Math.min(first * 2 ** this.#failures, LONGEST_MS);
    const least = code === 4429 ? LATER_MS : this.#failures ? 200 : 0;
    this.#failures = Math.min(this.#failures + 1, 10);
    return least + Math.random() * most;
  }
}
