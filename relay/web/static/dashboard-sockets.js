// Sockets that are open now, on all processes, and what waits for each.

import { fill, make, size, time } from "./dom.js";
import { asked } from "./dashboard-account.js";
import { badge, count, empty, head, loading, repeat, table, troubles } from "./dashboard-parts.js";
import { at } from "./service.js";

const PAUSE_MS = 2_000;
const NAMED = 3; // addresses of one socket; the others are counted

/** The section; it looks again every few seconds. */
export function sockets(root, _rest, signal) {
  const list = make("div", { class: "stack" }, loading());
  const { place, tell } = troubles();
  root.append(head("Open Sockets", "Who listens to your mail now. A socket that reads too slowly is closed before it can hold up others."), place, list);
  let last = "";
  repeat(async () => {
    try {
      const response = await asked("GET", "/api/sockets", { signal });
      const found = await response.json();
      const total = Number(response.headers.get("X-Total-Count")) || found.length;
      tell(null);
      const now = JSON.stringify(found);
      if (now !== last) { // else a reader who marks text would lose it
        last = now;
        fill(list, found.length > 0 ? shown(found, total) : nobody());
      }
    } catch (error) {
      if (!signal.aborted) {
        tell(error);
        if (last === "") {
          fill(list);
        }
      }
    }
  }, PAUSE_MS, signal);
}

function nobody() {
  const test = make("a", { class: "button button-primary", href: at("") }, "Open the test page");
  return empty("plug", "Nobody is listening", "Mail is kept meanwhile. Open the test page, or connect a program, and its socket appears here.", test);
}

function shown(found, total) {
  const processes = new Set(found.map((socket) => socket.process)).size;
  return [
    make("p", { class: "soft" }, `${count(total, "socket")} on ${count(processes, "process", "processes")}`),
    total > found.length && make("p", { class: "soft small" }, `${found.length} of them are shown: those with the most waiting of each process.`),
    make("div", { class: "panel table-panel" }, table("Open sockets", ["Listens to", "Since", "From", "Delivered", "Waiting"], found.map(row))),
  ];
}

function row(socket) {
  const names = [...socket.addresses, ...socket.domains.map((domain) => `all of ${domain}`)];
  const more = names.length - NAMED;
  const lag = socket.waitingBytes > 0 ? badge("warn", size(socket.waitingBytes)) : badge("good", "nothing");
  return [
    make("div", { title: names.join("\n") }, names.slice(0, NAMED).map((name) => make("div", { class: "mono" }, name)), more > 0 && make("div", { class: "small soft" }, `and ${more} more`)),
    make("span", { class: "small soft" }, time(socket.opened)),
    make("div", {}, make("span", { class: "mono small" }, socket.client || "unknown"), make("div", { class: "small soft" }, `${socket.frames} frames · process ${socket.process}`)),
    make("span", { class: "number" }, socket.delivered.toLocaleString("en")),
    lag,
  ];
}
