// The test page: three steps, and then mail as it arrives.

import * as api from "./api.js";
import { offer, ticked } from "./choices.js";
import * as closes from "./closes.js";
import { byId, fill, make } from "./dom.js";
import { Listener } from "./listener.js";
import { BASE } from "./service.js";
import * as session from "./session.js";
import { copyable } from "./shell.js";
import { snippets } from "./snippets.js";
import { tabbed } from "./tabs.js";
import { Timeline } from "./timeline.js";
import { toast } from "./toast.js";

const TYPING_MS = 350; // of silence, after which a key is taken for whole
const NARROW = matchMedia("(max-width: 60rem)"); // as in test.css: what arrives is below the steps
const ADDRESSES = "relay.addresses"; // in sessionStorage: what is listened to, for who comes back to this tab

const key = byId("key");
const choices = byId("choices");
const timeline = new Timeline(byId("timeline"));
let listener = null;
let names = [];
let asking = null; // AbortController of the question whose the key is
let typing = 0; // the timer of a key that is being typed
let tried = ""; // the key whose addresses are shown, or asked for
let unseen = 0;

/* ---- step 1: the key ---- */

function said(text, wrong) {
  const hint = byId("key-said");
  hint.textContent = text;
  hint.className = wrong ? "field-error" : "field-hint";
  key.setAttribute("aria-invalid", String(wrong));
}

async function tryKey() {
  clearTimeout(typing);
  asking?.abort();
  const given = key.value.trim();
  tried = given;
  if (!given) {
    said("It stays in this tab, and is forgotten with it.", false);
    offerNothing();
    session.signOut();
    return;
  }
  if (!/^[\x21-\x7e]+$/.test(given)) {
    said("A key has letters, digits and signs, and no blanks.", true);
    offerNothing();
    return;
  }
  asking = new AbortController();
  try {
    const account = await offer(choices, given, asking.signal);
    session.signIn(given, account);
    said(account ? `The key of account ${account}.` : "The key is known.", false);
    restoreTicks();
    showSnippets();
  } catch (error) {
    if (error instanceof api.ApiError) {
      offerNothing();
      said(error.status === 401 ? "No account has this key. Is it whole, and not revoked?" : error.message, true);
    } else if (error.name !== "AbortError") {
      throw error;
    }
  }
}

function reveal() {
  const shown = key.type === "text";
  key.type = shown ? "password" : "text";
  byId("reveal").setAttribute("aria-pressed", String(!shown));
}

/* ---- step 2: addresses ---- */

function offerNothing() {
  fill(choices, make("p", { class: "field-hint" }, "Yours are listed here once the key is known."));
}

function chosen() {
  const others = byId("others").value.split(/[\s,;]+/).filter(Boolean);
  return [...new Set([...ticked(choices), ...others])];
}

function restoreTicks() {
  const before = (sessionStorage.getItem(ADDRESSES) ?? "").split(",");
  const inputs = [...choices.querySelectorAll("input")];
  if (inputs.some((input) => before.includes(input.value))) {
    inputs.forEach((input) => (input.checked = before.includes(input.value)));
  }
}

/* ---- step 3: listen ---- */

function problem(text) {
  const error = byId("setup-error");
  error.textContent = text;
  error.hidden = text === "";
}

async function start(event) {
  event.preventDefault();
  if (key.value.trim() !== tried) {
    await tryKey(); // pasted a moment ago
  }
  const wrong = key.getAttribute("aria-invalid") === "true" && byId("key-said").textContent;
  if (!key.value.trim() || wrong) {
    problem(wrong ? `Step 1: ${wrong}` : "Step 1 first: paste your API key.");
    key.focus();
    return;
  }
  names = chosen();
  if (names.length === 0) {
    problem("Step 2 first: choose at least one address.");
    choices.querySelector("input")?.focus();
    return;
  }
  problem("");
  listener?.stop();
  sessionStorage.setItem(ADDRESSES, names.join(","));
  byId("timeline").classList.toggle("timeline-single", names.length === 1 && names[0].includes("@"));
  offerSample();
  const mine = key.value.trim();
  const heard = { state, message: (message, text) => arrived(message, text, mine), gap };
  listener = new Listener({ base: BASE, key: mine, names, on: heard });
  showRunning(true);
  listener.start();
  if (NARROW.matches) {
    byId("live").scrollIntoView();
  }
}

function stop() {
  listener?.stop();
}

function showRunning(running) {
  const was = byId("setup").contains(document.activeElement); // what had the focus may be about to go
  byId("start").hidden = running;
  byId("stop").hidden = !running;
  byId("sample").hidden = !running;
  for (const input of byId("setup").querySelectorAll("input, .choices button")) {
    input.disabled = running;
  }
  if (was) {
    byId(running ? "stop" : "start").focus({ preventScroll: true });
  }
}

/* ---- what the listener tells ---- */

let countdown = 0;
let wasCutOff = 0; // the close code; 0 = listening, or nothing was to be heard yet

function badge(kind, text) {
  const element = byId("state");
  element.className = `badge badge-dot ${kind}`;
  element.textContent = text;
}

function state(name, detail) {
  clearInterval(countdown);
  byId("hurry").hidden = name !== "waiting";
  ({ connecting, listening, waiting, ended })[name](detail);
  showEmpty(name);
}

function connecting() {
  badge("badge-warn badge-busy", "Connecting");
  byId("state-text").textContent = "";
}

function listening() {
  badge("badge-good", "Listening");
  byId("state-text").textContent = `to ${names.length === 1 ? names[0] : `${names.length} names`}`;
  if (wasCutOff) {
    timeline.note("good", "Listening again. What came meanwhile was asked for.");
    wasCutOff = 0;
  }
}

function waiting(detail) {
  badge("badge-warn badge-busy", "Cut off");
  if (wasCutOff !== detail.code) {
    timeline.note("warn", `${detail.text} (${detail.code})`, detail.said);
  }
  wasCutOff = detail.code;
  let left = detail.seconds;
  const tell = () => {
    byId("state-text").textContent = `Code ${detail.code}. Trying again ${left > 0 ? `in ${left} s` : "now"} …`;
    left -= 1;
  };
  tell();
  countdown = setInterval(tell, 1000);
}

function ended(detail) {
  listener = null;
  wasCutOff = 0;
  showRunning(false);
  if (detail === null) {
    badge("", "Not connected");
    byId("state-text").textContent = "";
    return;
  }
  badge("badge-bad", "Refused");
  byId("state-text").textContent = detail.code ? `Code ${detail.code}. Mend it, and start again.` : "";
  timeline.note("bad", detail.code ? `${detail.text} (${detail.code})` : detail.text, detail.said);
  if (detail.code === 4401) {
    said("No account has this key. Is it whole, and not revoked?", true);
    key.focus();
  }
}

function showEmpty(name) {
  byId("welcome").hidden = timeline.length > 0 || name !== "ended";
  byId("empty").hidden = timeline.length > 0 || name === "ended";
  byId("clear").hidden = timeline.length === 0;
  fill(byId("empty-names"), names.map((one, index) => [index > 0 && ", ", make("code", {}, one)]));
}

function arrived(message, text, mine) {
  timeline.message(message, text, mine, !document.querySelector("#timeline .message"));
  showEmpty("listening");
  const [sender] = message.from ?? [];
  const subject = message.subject.slice(0, 200);
  byId("aloud").textContent = `Mail from ${sender?.name || sender?.address || "nobody"}: ${subject}`;
  if (document.hidden) {
    unseen += 1;
    document.title = `(${unseen}) Test page · relay`;
  }
}

function gap(frame) {
  timeline.note("warn", `${frame.inbox}: ${closes.gap(frame)}`);
  showEmpty("listening");
}

/* ---- a sample mail ---- */

function offerSample() {
  const options = names.map((name) => (name.includes("@") ? name : `sample@${name}`));
  fill(byId("sample-to"), options.map((address) => make("option", {}, address)));
  byId("sample-to").hidden = options.length === 1;
}

async function sendSample() {
  const button = byId("sample-send");
  button.disabled = true;
  try {
    const path = api.path("addresses", byId("sample-to").value, "sample");
    const { rejected } = await api.call("POST", path, { key: key.value.trim() });
    rejected.forEach((one) => toast(closes.rejection(one), "bad"));
  } catch (error) {
    const later = error.status === 429 && error.retryAfter ? ` Try again in ${error.retryAfter} s.` : "";
    toast(error.message + later, "bad");
  } finally {
    button.disabled = false;
  }
}

/* ---- the same as code ---- */

let language = 0;

function showSnippets() {
  const filled = { base: BASE, names: chosen(), key: byId("with-key").checked ? key.value.trim() : "" };
  const entries = snippets(filled).map(({ name, note, code }, index) => ({
    name,
    show: () => {
      language = index;
      const box = make("div", { class: "code" }, make("pre", { tabindex: "0" }, make("code", {}, code)));
      return [make("p", { class: "soft small snippet-note" }, note), copyable(box)];
    },
  }));
  fill(byId("snippets"), tabbed("Language", entries, language));
}

/* ---- begin ---- */

key.addEventListener("input", () => {
  problem("");
  clearTimeout(typing);
  typing = setTimeout(tryKey, TYPING_MS);
});
byId("reveal").addEventListener("click", reveal);
byId("setup").addEventListener("submit", start);
byId("setup").addEventListener("change", showSnippets);
byId("stop").addEventListener("click", stop);
byId("hurry").addEventListener("click", () => {
  byId("stop").focus({ preventScroll: true }); // this button goes
  listener?.hurry();
});
byId("sample-send").addEventListener("click", sendSample);
byId("with-key").addEventListener("change", showSnippets);
byId("clear").addEventListener("click", () => {
  timeline.clear();
  showEmpty(listener ? "listening" : "ended");
});
document.addEventListener("visibilitychange", () => {
  unseen = 0;
  document.title = "Test page · relay";
});
showSnippets();
if (session.key()) {
  key.value = session.key();
  tryKey();
}
