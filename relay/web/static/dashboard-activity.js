// Recent Activity: what became of each mail and socket, live.

import { fill, make, size, time } from "./dom.js";
import { request } from "./dashboard-account.js";
import { badge, empty, head, loading, pause, trouble } from "./dashboard-parts.js";

const WAIT_SECONDS = 25;
const AT_ONCE = 50;
const SHOWN = 200;
const AFTER_TROUBLE_MS = 5_000;
const AFTER_NEWS_MS = 500; // news that come together are fetched together
const KINDS = {
  received: ["good", "received"],
  refused: ["bad", "refused"],
  delivered: ["good", "delivered"],
  unheard: ["warn", "nobody listening"],
  "socket-opened": ["plain", "socket opened"],
  "socket-refused": ["bad", "socket refused"],
  "socket-closed": ["plain", "socket closed"],
  replayed: ["plain", "replayed"],
  gap: ["warn", "gap"],
  "near-miss": ["warn", "near miss"],
};

/** The section; what happens meanwhile appears by itself. */
export function activity(root, _rest, signal) {
  const list = make("ol", { class: "events", "aria-label": "Events, newest first" });
  const body = make("div", { class: "stack" }, loading());
  root.append(head("Recent Activity", "What became of each mail, and of each socket. Look here when something does not work."), body);
  follow(list, body, signal);
}

async function follow(list, body, signal) {
  let cursor = "";
  while (!signal.aborted) {
    try {
      const query = new URLSearchParams({ limit: AT_ONCE, ...(cursor && { since: cursor, wait: WAIT_SECONDS }) });
      const found = await request("GET", `/api/activity?${query}`, { signal, patienceMs: (WAIT_SECONDS + 15) * 1000 });
      list.prepend(...found.events.map(shown));
      while (list.children.length > SHOWN) {
        list.lastElementChild.remove();
      }
      fill(body, list.children.length > 0 ? make("div", { class: "panel" }, list) : quiet());
      await pause(found.cursor && cursor ? AFTER_NEWS_MS : 0, signal);
      // Without a cursor there is nothing to wait behind: ask again, not at once.
      await pause(found.cursor ? 0 : AFTER_TROUBLE_MS, signal);
      cursor = found.cursor || cursor;
    } catch (error) {
      if (signal.aborted) {
        return;
      }
      fill(body, trouble(error), list.children.length > 0 && make("div", { class: "panel" }, list));
      if (error.status === 404) {
        return;
      }
      await pause(AFTER_TROUBLE_MS, signal);
    }
  }
}

function quiet() {
  return empty("pulse", "Nothing has happened yet", "Send a mail to one of your addresses, or open a socket, and it appears here.");
}

function shown(event) {
  const [kind, name] = KINDS[event.kind] ?? ["plain", event.kind];
  return make(
    "li",
    { class: "event" },
    make("span", { class: "event-time small soft" }, time(event.time)),
    badge(kind, name),
    make("div", { class: "event-text" }, make("p", {}, event.text), details(event)),
  );
}

function details(event) {
  const parts = [event.inbox, event.sender && `by ${event.sender}`, Number.isInteger(event.size) && size(event.size)].filter(Boolean);
  return parts.length > 0 && make("p", { class: "small soft" }, parts.join(" · "));
}
