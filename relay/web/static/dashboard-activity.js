// Recent Activity: what became of each mail and socket, live.

import { fill, make, time } from "./dom.js";
import { request } from "./dashboard-account.js";
import { inWordsOfPages } from "./advice.js";
import { badge, empty, head, loading, pause, troubles } from "./dashboard-parts.js";

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
  trimmed: ["warn", "made room"],
};

/** The section; what happens meanwhile appears by itself. */
export function activity(root, _rest, signal) {
  const select = make("select", { "aria-label": "Events of" }, make("option", { value: "" }, "All addresses"));
  const body = make("div", { class: "stack" }, loading());
  let following = new AbortController();
  const begin = () => {
    following.abort();
    following = new AbortController();
    follow(select.value, body, AbortSignal.any([signal, following.signal]));
  };
  select.addEventListener("change", begin);
  root.append(head("Recent Activity", "What became of each mail, and of each socket. Look here when something does not work.", select), body);
  request("GET", "/api/addresses", { signal }).then((found) => {
    select.append(...found.map((one) => one._id).sort().map((one) => make("option", { value: one }, one)));
  }, () => {}); // without them there is one choice less; what is wrong is said below
  begin();
}

async function follow(email, body, signal) {
  const list = make("ol", { class: "events", "aria-label": "Events, newest first" });
  const { place, tell } = troubles();
  const content = make("div", {}, loading());
  fill(body, place, content);
  let cursor = "";
  while (!signal.aborted) {
    try {
      const query = new URLSearchParams({ limit: AT_ONCE, ...(email && { inbox: email }), ...(cursor && { since: cursor, wait: WAIT_SECONDS }) });
      const found = await request("GET", `/api/activity?${query}`, { signal, patienceMs: (WAIT_SECONDS + 15) * 1000 });
      list.prepend(...found.events.map(shown));
      while (list.children.length > SHOWN) {
        list.lastElementChild.remove();
      }
      tell(null);
      fill(content, list.children.length > 0 ? make("div", { class: "panel" }, list) : quiet());
      // Without a cursor there is nothing to wait behind: ask again, but not at once.
      await pause(found.cursor ? AFTER_NEWS_MS : AFTER_TROUBLE_MS, signal);
      cursor = found.cursor || cursor;
    } catch (error) {
      if (signal.aborted) {
        return;
      }
      tell(error);
      content.querySelector(".loading")?.remove();
      if (error.status === 404) {
        return;
      }
      if (error.status === 400) { // a cursor that the service has forgotten
        cursor = "";
        fill(list);
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
    make("p", { class: "event-text" }, inWordsOfPages(event.text)),
  );
}
