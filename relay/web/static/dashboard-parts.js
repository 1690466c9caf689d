// What sections are made of: heads, what stands there while there is nothing, and what went wrong.

import { ApiError } from "./api.js";
import { icon, make } from "./dom.js";

/** The head of a section. `actions`: buttons beside it. */
export function head(title, lead, ...actions) {
  return make(
    "div",
    { class: "section-head" },
    make("div", {}, make("h1", { tabindex: "-1" }, title), lead && make("p", { class: "lead" }, lead)),
    actions.length > 0 && make("div", { class: "row" }, actions),
  );
}

/** A button. `attributes` as of `make`; `picture`: a name of icons.svg, or null. */
export function button(text, picture, attributes = {}) {
  return make("button", { type: "button", ...attributes }, picture && icon(picture), text);
}

/** What stands where things will be, and what to do about it. */
export function empty(picture, title, text, ...actions) {
  return make("div", { class: "panel empty" }, icon(picture), make("h2", {}, title), make("p", {}, text), actions);
}

export function loading() {
  return make("p", { class: "soft loading", role: "status" }, "Loading…");
}

/** What went wrong, in the service's words. `again`: called by a button; null for none. */
export function trouble(error, again = null) {
  if (error instanceof ApiError && error.status === 404) {
    return notice("plain", "This service does not offer this yet. A newer version of relay may.");
  }
  const box = notice("bad", error.message);
  if (again) {
    box.append(button("Try again", "refresh", { class: "button-small", onclick: again }));
  }
  return box;
}

/** A place for what goes wrong again and again: told once, beside what was there before, until it is over (null). */
export function troubles() {
  const place = make("div", { class: "troubles" });
  let told = "";
  const tell = (error) => {
    const text = error?.message ?? "";
    if (text !== told) {
      told = text;
      place.replaceChildren(...(error ? [trouble(error)] : []));
    }
  };
  return { place, tell };
}

/** `kind`: "plain", "warn" or "bad". */
export function notice(kind, ...content) {
  const role = kind === "bad" ? "alert" : null;
  return make("div", { class: `notice notice-${kind}`, role }, icon("alert"), make("div", { class: "notice-text" }, content));
}

/** `kind`: "good", "warn", "bad" or "plain". */
export function badge(kind, text) {
  return make("span", { class: `badge badge-${kind} badge-dot` }, text);
}

/**
 * A table that becomes cards on a narrow screen. `columns`: headings; `rows`: lists of cells (elements or text), or
 * ready `tr` elements.
 */
export function table(label, columns, rows) {
  const headings = columns.map((name) => make("th", { scope: "col" }, name || make("span", { class: "visually-hidden" }, "Actions")));
  return make(
    "table",
    { class: "cards", "aria-label": label },
    make("thead", {}, make("tr", {}, headings)),
    make("tbody", {}, rows.map((cells) => make("tr", {}, cells.map((cell, index) => make("td", { dataset: { label: columns[index] } }, cell))))),
  );
}

/** `1 address`, `2 addresses`. */
export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

/** The day of a moment, for what is older than a shift; the whole moment is its title. `iso`: ISO 8601. */
export function day(iso) {
  const moment = new Date(iso);
  const today = moment.toDateString() === new Date().toDateString();
  return make("time", { datetime: iso, title: moment.toLocaleString() }, today ? "today" : moment.toLocaleDateString([], { dateStyle: "medium" }));
}

/** Calls `work` now and then, while the page is seen, until `signal` ends it. `work` never rejects. */
export async function repeat(work, pauseMs, signal) {
  while (!signal.aborted) {
    if (!document.hidden) {
      await work();
    }
    await pause(pauseMs, signal);
  }
}

/** Returns after some milliseconds, or when `signal` ends it. */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
