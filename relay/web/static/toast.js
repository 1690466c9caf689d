// A short note at the edge of the page, read aloud by screen readers, that goes by itself. A few at once at most.

import { icon, make } from "./dom.js";

const SHOWN_MS = 7_000;
const AT_ONCE = 3;

/** `kind`: "good", "bad" or "plain". What is bad stays until it is put away. */
export function toast(text, kind = "plain") {
  const shelf = document.querySelector(".toasts") ?? document.body.appendChild(shelfOfToasts());
  const away = () => note.remove();
  const attributes = { class: "button-quiet button-icon", type: "button", "aria-label": "Put the note away" };
  const button = make("button", { ...attributes, onclick: away }, icon("close"));
  const note = make("div", { class: `toast toast-${kind}` }, make("p", {}, text), button);
  shelf.append(note);
  while (shelf.children.length > AT_ONCE) {
    shelf.firstElementChild.remove();
  }
  if (kind !== "bad") {
    setTimeout(away, SHOWN_MS);
  }
}

function shelfOfToasts() {
  return make("div", { class: "toasts", role: "status", "aria-live": "polite" });
}
