// What every page has: the switch between light and dark, where one is in the navigation, and buttons that copy.

import { icon, make } from "./dom.js";
import { toast } from "./toast.js";

const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");

function theme() {
  return root.dataset.theme || (dark.matches ? "dark" : "light");
}

function showTheme(button) {
  const other = theme() === "dark" ? "light" : "dark";
  button.setAttribute("aria-label", `Switch to ${other} colours`);
  button.title = `Switch to ${other} colours`;
}

function switchTheme(button) {
  root.dataset.theme = theme() === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("relay.theme", root.dataset.theme);
  } catch {
    // Storage is forbidden: it holds for this page.
  }
  showTheme(button);
}

/** Puts a copy button on a `.code` box, for `text`; without it, for what its `code` has at the time of the click. */
export function copyable(box, text = null) {
  const button = make("button", { class: "button-small code-copy", type: "button" }, icon("copy"), "Copy");
  button.addEventListener("click", () => copy(text ?? box.querySelector("code").textContent));
  box.append(button);
  return box;
}

/** Puts text into the clipboard, and says so. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied.", "good");
  } catch {
    toast("The browser does not let this page copy. Mark the text, and copy it yourself.", "bad");
  }
}

for (const button of document.querySelectorAll("[data-theme-switch]")) {
  button.addEventListener("click", () => switchTheme(button));
  dark.addEventListener("change", () => showTheme(button));
  showTheme(button);
  button.hidden = false;
}
for (const link of document.querySelectorAll(".site-nav a")) {
  if (new URL(link.href).pathname === location.pathname) {
    link.setAttribute("aria-current", "page");
  }
}
for (const box of document.querySelectorAll(".code")) {
  copyable(box);
}
