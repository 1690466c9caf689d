// A short note at the edge of the page, read aloud by screen readers, that goes by itself. A few at once at most;
// where it is narrow the shelf is a part of the page's head, and only the newest is seen (relay.css).

import { icon, make } from "./dom.js";

const SHOWN_MS = 7_000;
const AT_ONCE = 3;

/**
 * `kind`: "good", "bad" or "plain". What is bad stays until it is put away. `about`: the name of what has changed, whose
 * earlier notes are not true any more; "" for none.
 */
export function toast(text, kind = "plain", about = "") {
  const shelf = document.querySelector(".toasts") ?? shelfOfToasts();
  const away = () => note.remove();
  const attributes = { class: "button-quiet button-icon", type: "button", "aria-label": "Put the note away" };
  const button = make("button", { ...attributes, onclick: away }, icon("close"));
  const note = make("div", { class: `toast toast-${kind}`, dataset: { about } }, make("p", {}, text), button);
  if (about) {
    putAway((one) => one.dataset.about === about);
  }
  shelf.append(note);
  while (shelf.children.length > AT_ONCE) {
    shelf.firstElementChild.remove();
  }
  if (kind !== "bad") {
    setTimeout(away, SHOWN_MS);
  }
}

/** Removes the notes that are `stale`; all of them without it. */
export function putAway(stale = () => true) {
  [...document.querySelectorAll(".toast")].filter(stale).forEach((one) => one.remove());
}

function shelfOfToasts() {
  const shelf = make("div", { class: "toasts", role: "status", "aria-live": "polite" });
  document.querySelector(".site-head").append(shelf);
  return shelf;
}
