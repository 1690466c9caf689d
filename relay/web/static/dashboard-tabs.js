// Tabs as WAI-ARIA describes them: arrow keys move between them, and one panel is shown. A panel is made when it is wanted.

import { fill, make } from "./dom.js";

let made = 0;

/** `tabs`: lists of a label and a function that puts its content into the element that it gets, once. */
export function tabbed(label, tabs) {
  made += 1;
  const panel = make("div", { class: "tab-panel", role: "tabpanel", tabindex: "0" });
  const contents = tabs.map(() => null);
  const buttons = tabs.map(([name], index) => make("button", { type: "button", role: "tab", id: `tab-${made}-${index}`, onclick: () => choose(index) }, name));
  const list = make("div", { class: "tabs", role: "tablist", "aria-label": label }, buttons);

  function choose(index) {
    for (const [at, button] of buttons.entries()) {
      button.setAttribute("aria-selected", String(at === index));
      button.tabIndex = at === index ? 0 : -1;
    }
    panel.setAttribute("aria-labelledby", buttons[index].id);
    if (contents[index] === null) {
      contents[index] = make("div", {});
      tabs[index][1](contents[index]);
    }
    fill(panel, contents[index]);
  }

  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) {
      const next = (buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length;
      choose(next);
      buttons[next].focus();
      event.preventDefault();
    }
  });
  choose(0);
  return make("div", {}, list, panel);
}
