// The reference: the reader's own host in the examples, a filter over everything, and where in it one is.

import { BASE } from "./service.js";

const HTTP = BASE;
const find = document.getElementById("find");
const found = document.getElementById("found");
const side = document.querySelector(".docs-side");
const entries = [...document.querySelectorAll(".docs-entry")];
const nouns = [...document.querySelectorAll(".docs-noun")];
const links = new Map([...document.querySelectorAll(".docs-nav a")].map((link) => [link.hash.slice(1), link]));
const narrow = matchMedia("(max-width: 56rem)");

for (const place of document.querySelectorAll("[data-origin]")) {
  place.textContent = place.dataset.origin === "ws" ? HTTP.replace(/^http/, "ws") : HTTP;
}

// What each entry says, once: reading the text of the page at every key would be slow. Without its examples: nearly all
// messages in them have attachments, labels and the rest.
const texts = new Map(entries.map((entry) => [entry, textOf(entry)]));

function textOf(entry) {
  const noun = entry.closest(".docs-noun").querySelector("h2").textContent;
  const words = [...entry.children].filter((part) => !part.matches(".docs-examples")).map((part) => part.textContent);
  return [noun, ...words].join(" ").toLowerCase().replace(/\s+/g, " ");
}

/** Shows what has every word; all of it when there are none. */
function filter() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const entry of entries) {
    entry.hidden = !words.every((word) => texts.get(entry).includes(word));
    count += entry.hidden ? 0 : 1;
    const link = links.get(entry.id);
    if (link) {
      link.parentElement.hidden = entry.hidden;
    }
  }
  for (const noun of nouns) {
    noun.hidden = ![...noun.querySelectorAll(".docs-entry")].some((entry) => !entry.hidden);
    links.get(noun.id).parentElement.hidden = noun.hidden;
  }
  found.textContent = words.length ? `${count} of ${entries.length}` : "";
}

/** Marks the entry whose beginning was scrolled past last. */
function mark(current) {
  for (const link of links.values()) {
    link.removeAttribute("aria-current");
  }
  const link = links.get(current.id);
  if (link) {
    link.setAttribute("aria-current", "true");
    if (!narrow.matches && !side.matches(":hover, :focus-within")) {
      keepInSight(link);
    }
  }
}

/** Scrolls the contents, and nothing else. */
function keepInSight(link) {
  const box = side.getBoundingClientRect();
  const place = link.getBoundingClientRect();
  if (place.top < box.top || place.bottom > box.bottom) {
    side.scrollTop += place.top - box.top - box.height / 3;
  }
}

function watch() {
  const seen = new Set();
  const observer = new IntersectionObserver((changes) => {
    for (const change of changes) {
      seen[change.isIntersecting ? "add" : "delete"](change.target);
    }
    const first = entries.find((entry) => seen.has(entry));
    if (first) {
      mark(first);
    }
  }, { rootMargin: "-96px 0px -60% 0px" });
  entries.forEach((entry) => observer.observe(entry));
}

find.addEventListener("input", filter);
addEventListener("keydown", (event) => {
  const typing = event.target instanceof Element && event.target.matches("input, textarea, select");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    side.open = true;
    find.focus();
  } else if (event.key === "Escape" && event.target === find) {
    find.value = "";
    filter();
  }
});
// On a narrow screen the contents would stand before everything else.
function fold() {
  side.open = !narrow.matches;
}
narrow.addEventListener("change", fold);
side.addEventListener("click", (event) => {
  if (narrow.matches && event.target.closest("a")) {
    side.open = false;
  }
});
addEventListener("hashchange", () => {
  const target = document.getElementById(location.hash.slice(1));
  if (target?.closest("[hidden]")) { // a link to what the filter hides
    find.value = "";
    filter();
    target.scrollIntoView();
  }
});
document.querySelector(".docs-find").hidden = false;
fold();
filter();
watch();
