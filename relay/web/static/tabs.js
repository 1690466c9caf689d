// Tabs as the ARIA Authoring Practices have them: arrow keys go from one to the next, and what is shown is made then.

import { fill, make } from "./dom.js";

let made = 0;

/**
 * The tabs and their panel, of a list of `{name, show}`: `show(panel)` fills the panel when its tab is chosen, or
 * returns what to put there. `label`: of the list, for screen readers; `first`: the one to show.
 */
export function tabbed(label, entries, first = 0) {
  made += 1;
  const panel = make("div", { class: "tab-panel", role: "tabpanel", id: `panel-${made}`, tabindex: "0" });
  const buttons = entries.map((entry, index) =>
    make("button", { type: "button", role: "tab", id: `tab-${made}-${index}`, "aria-controls": panel.id }, entry.name),
  );
  const list = make("div", { class: "tabs", role: "tablist", "aria-label": label }, buttons);
  const choose = (index) => {
    buttons.forEach((button, at) => {
      button.setAttribute("aria-selected", String(at === index));
      button.tabIndex = at === index ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", buttons[index].id);
    const shown = entries[index].show(panel);
    if (shown) {
      fill(panel, shown);
    }
  };
  buttons.forEach((button, index) => button.addEventListener("click", () => choose(index)));
  list.addEventListener("keydown", (event) => {
    const from = buttons.indexOf(document.activeElement);
    const to = { ArrowRight: from + 1, ArrowLeft: from - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (from >= 0 && to !== undefined) {
      event.preventDefault();
      const index = (to + buttons.length) % buttons.length;
      buttons[index].focus();
      choose(index);
    }
  });
  choose(first);
  return [list, panel];
}
