// The links of a message: to be read and copied, not to be followed from here. What a mail links to may be anything.

import { icon, make } from "./dom.js";
import { copy } from "./shell.js";

const SHOWN = 200;

/** The tab for `tabbed`; null when the message has no links. `links`: its `links`, or null. */
export function linksTab(links) {
  return links?.length > 0 ? { name: `Links (${links.length})`, show: () => list(links) } : null;
}

function list(links) {
  return [
    make("p", { class: "soft small" }, "Where the mail leads, and what it would load. Nothing here goes there by itself: copy what you trust."),
    make("ul", { class: "links", "aria-label": "Links of the message" }, links.slice(0, SHOWN).map(row)),
    links.length > SHOWN && make("p", { class: "soft small" }, `The first ${SHOWN} of ${links.length}.`),
  ];
}

function row(link, place) {
  const attributes = { class: "button-small", type: "button", onclick: () => copy(link), "aria-label": `Copy link ${place + 1}` };
  return make("li", {}, make("span", { class: "mono" }, link), make("button", attributes, icon("copy"), "Copy"));
}
