// Elements made and found. Whatever was fetched becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id. Throws when the page has none: a mistake in the page, not of its user. */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) {
    throw new Error(`the page has no #${id}`);
  }
  return found;
}

/**
 * An element. `attributes`: `class`, `dataset` (an object), `on…` (a function), booleans, or text; null and undefined
 * are left out. `children`: elements, text, or lists of them; null, undefined and false are left out.
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    set(element, name, value);
  }
  element.append(...present(children));
  return element;
}

function present(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) {
    return;
  }
  if (name === "dataset") {
    Object.assign(element.dataset, value);
  } else if (name.startsWith("on")) {
    element.addEventListener(name.slice(2), value);
  } else {
    element.setAttribute(name, value === true ? "" : value);
  }
}

/** A picture of static/icons.svg, hidden from screen readers: the text beside it says the same. */
export function icon(name) {
  const picture = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", new URL(`icons.svg#${name}`, import.meta.url).href);
  picture.setAttribute("class", "icon");
  picture.setAttribute("aria-hidden", "true");
  picture.append(use);
  return picture;
}

/** Replaces all that is in `element`. */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
  return element;
}

/** `14:03:09` in the reader's zone, with the whole moment as its title. `iso`: ISO 8601; "" and null give "". */
export function time(iso) {
  const moment = new Date(iso ?? "");
  if (Number.isNaN(moment.getTime())) {
    return "";
  }
  const today = moment.toDateString() === new Date().toDateString();
  const shown = today
    ? moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false })
    : moment.toLocaleString([], { dateStyle: "medium", timeStyle: "short", hour12: false });
  return make("time", { datetime: iso, title: moment.toLocaleString() }, shown);
}

/** `1.4 KiB`, of bytes. */
export function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let value = Number(bytes) || 0;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** A file for the reader to keep. `blob`: its bytes; `name`: as offered, made harmless by the browser. */
export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // Firefox reads it after the click
}
