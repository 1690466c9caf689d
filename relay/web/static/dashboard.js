// The dashboard: who is signed in, which section is shown, and the way between them (the URL's hash).

import * as session from "./session.js";
import { ApiError } from "./api.js";
import { byId, fill } from "./dom.js";
import { accountOf, takeFarewell } from "./dashboard-account.js";
import { activity } from "./dashboard-activity.js";
import { addresses } from "./dashboard-addresses.js";
import { apiKeys } from "./dashboard-keys.js";
import { domains } from "./dashboard-domains.js";
import { inbox } from "./dashboard-inbox.js";
import { sockets } from "./dashboard-sockets.js";
import { putAway } from "./toast.js";

// Each is called with where to put itself, the parts of the hash after its name, and a signal that says when it is left.
// It may return a function that is told when only those parts have changed.
const SECTIONS = { addresses, inbox, domains, keys: apiKeys, sockets, activity };
const FIRST = "addresses";

const links = [...document.querySelectorAll("#dash-nav a")];
const menu = byId("dash-menu");
let shown = { name: "", leave: new AbortController(), moved: null };

function place() {
  try {
    const [name, ...rest] = location.hash.slice(1).split("/").map(decodeURIComponent);
    return Object.hasOwn(SECTIONS, name) ? { name, rest } : { name: FIRST, rest: [] };
  } catch {
    return { name: FIRST, rest: [] }; // not a hash of ours
  }
}

function leave() {
  shown.leave.abort();
  putAway(); // what they tell was told of the section that is left
  shown = { name: "", leave: new AbortController(), moved: null };
  for (const dialog of document.querySelectorAll("dialog:not([closedby=none])")) {
    dialog.close();
  }
}

function show(byPerson) {
  const { name, rest } = place();
  openMenu(false);
  if (name === shown.name && shown.moved) {
    shown.moved(rest);
    return;
  }
  leave();
  mark(name);
  shown.name = name;
  const root = fill(byId("section"));
  shown.moved = SECTIONS[name](root, rest, shown.leave.signal) ?? null;
  if (byPerson) {
    root.querySelector("h1")?.focus(); // a screen reader says where one is now
  }
}

function mark(name) {
  for (const link of links) {
    const here = link.hash === `#${name}`;
    link.toggleAttribute("aria-current", here);
    if (here) {
      link.setAttribute("aria-current", "page");
      document.title = `${link.textContent} · relay`;
    }
  }
}

function openMenu(open) {
  menu.setAttribute("aria-expanded", String(open));
}

function render() {
  const signedIn = session.key() !== "";
  byId("door").hidden = signedIn;
  byId("dash").hidden = !signedIn;
  leave();
  fill(byId("section"));
  if (signedIn) {
    name(session.account());
    show(true);
    return;
  }
  document.title = "Dashboard · relay";
  byId("door-error").textContent = takeFarewell();
  byId("door-key").focus();
}

/** Another page may have signed in without asking whose key it is. */
function name(account) {
  byId("dash-account").textContent = account || "of this key";
  if (!account) {
    accountOf(session.key()).then((id) => id && name(id), () => {}); // the section tells what is wrong
  }
}

async function signIn(event) {
  event.preventDefault();
  const [input, error, submit] = ["door-key", "door-error", "door-submit"].map(byId);
  const key = input.value.trim();
  error.textContent = "";
  submit.disabled = true;
  try {
    if (!/^[!-~]+$/.test(key)) {
      throw new ApiError(key ? "An API key has no spaces and only plain characters: copy it again." : "Paste your API key first.", 0);
    }
    const account = await accountOf(key);
    input.value = "";
    showKey(false);
    session.signIn(key, account);
  } catch (failure) {
    error.textContent = failure.status === 401 ? "This API key is not known here, or was revoked. Check that you copied all of it." : failure.message;
    input.setAttribute("aria-invalid", "true");
    input.focus();
  } finally {
    submit.disabled = false;
  }
}

function showKey(plain) {
  byId("door-key").type = plain ? "text" : "password";
  byId("door-eye").setAttribute("aria-pressed", String(plain));
}

byId("door-form").addEventListener("submit", signIn);
byId("door-key").addEventListener("input", () => byId("door-key").removeAttribute("aria-invalid"));
byId("door-eye").addEventListener("click", () => showKey(byId("door-key").type === "password"));
byId("sign-out").addEventListener("click", () => session.signOut());
menu.addEventListener("click", () => openMenu(menu.getAttribute("aria-expanded") !== "true"));
addEventListener("hashchange", () => {
  if (location.hash !== "#main" && session.key()) {
    show(true);
  }
});
session.onChange(render);
render();
