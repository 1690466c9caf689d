// One message, opened: its safe HTML in a frame without rights, text, headers, attachments, the original to keep.

import { path } from "./api.js";
import { download, fill, icon, make, size, time } from "./dom.js";
import { toast } from "./toast.js";
import { asked, request } from "./dashboard-account.js";
import { formDialog } from "./dashboard-dialogs.js";
import { button, loading, notice, trouble } from "./dashboard-parts.js";
import { people } from "./message_view.js";
import { tabbed } from "./tabs.js";

/**
 * Shows a message in `root`. `back`: the hash of its list; `changed` is called with what was done to it: "read",
 * "unread", "star", "deleted"; `focus`: whether the keyboard goes to it.
 */
export async function showLetter(root, { email, id, back, changed, focus }, signal) {
  const at = (...rest) => path("addresses", email, "messages", id, ...rest);
  fill(root, loading());
  try {
    const letter = await request("GET", at(), { signal });
    fill(root, view(letter, { email, at, back, changed, signal }));
    if (focus) {
      root.querySelector(".mail-subject").focus();
    }
    if (!letter.read) {
      await request("PUT", at("read", "true"), { signal });
      changed("read");
    }
  } catch (error) {
    if (!signal.aborted) {
      fill(root, error.status === 404 ? notice("warn", make("p", {}, "This message is not here any more: it was deleted, or kept long enough.")) : trouble(error));
    }
  }
}

function view(letter, { email, at, back, changed, signal }) {
  const attachments = letter.attachments?.length ?? 0;
  return make(
    "article",
    { class: "stack", "aria-label": letter.subject || "Message without subject" },
    make("a", { class: "mail-back", href: back }, icon("back"), "All messages"),
    make("h2", { class: "mail-subject", tabindex: "-1" }, letter.subject || "(no subject)"),
    actions(letter, email, at, changed),
    make(
      "dl",
      { class: "pairs" },
      pair("From", people(letter.from) || "unknown"),
      pair("To", people(letter.to) || letter.inbox),
      letter.cc?.length > 0 && pair("Cc", people(letter.cc)),
      pair("Received", time(letter.received)),
      pair("Size", size(letter.size)),
    ),
    make("div", {}, tabbed("Parts of the message", [
      { name: "Message", show: once((root) => showHtml(root, path("body", email, letter._id), signal)) },
      { name: "Text", show: once((root) => showText(root, path("text", email, letter._id))) },
      { name: "Headers", show: once((root) => showText(root, `${at("headers")}?messageHeadersFormat=plain`)) },
      { name: attachments ? `Attachments (${attachments})` : "Attachments", show: once((root) => showAttachments(root, at)) },
    ])),
  );
}

/** For `tabbed`: what was made for a panel is shown again, not asked for again. */
function once(show) {
  let made = null;
  return () => {
    if (made === null) {
      made = make("div", {});
      show(made);
    }
    return made;
  };
}

function pair(name, value) {
  return [make("dt", {}, name), make("dd", {}, value)];
}

function actions(letter, email, at, changed) {
  const star = starButton(letter, at, changed);
  const unread = button("Mark unread", "mail", { class: "button-small" });
  unread.addEventListener("click", () => doing(unread, async () => {
    await request("PUT", at("read", "false"));
    changed("unread");
  }));
  const keep = button("Download .eml", "download", { class: "button-small" });
  keep.addEventListener("click", () => doing(keep, () => store(path("raw", email, letter._id), `${letter._id}.eml`)));
  const remove = button("Delete", "trash", { class: "button-small button-danger", onclick: () => openDelete(letter, at, changed) });
  return make("div", { class: "row" }, star, unread, keep, remove);
}

/** A button that keeps a message from being dropped, or lets go of it. `saved`: "" for none. */
function starButton(letter, at, changed) {
  let starred = Boolean(letter.savedBy);
  const star = make("button", { class: "button-small star", type: "button" });
  const show = () => {
    fill(star, icon(starred ? "star-full" : "star"), starred ? "Starred" : "Star");
    star.setAttribute("aria-pressed", String(starred));
  };
  star.addEventListener("click", () => doing(star, async () => {
    await request("PUT", at("star"));
    starred = !starred;
    show();
    changed("star");
  }));
  show();
  return star;
}

async function store(url, name) {
  download(await (await asked("GET", url)).blob(), name);
}

async function doing(control, work) {
  control.disabled = true;
  try {
    await work();
  } catch (error) {
    toast(error.message, "bad");
  } finally {
    control.disabled = false;
  }
}

function openDelete(letter, at, changed) {
  formDialog({
    title: "Delete this message?",
    fields: [make("p", {}, letter.subject || "(no subject)")],
    submit: "Delete",
    danger: true,
    cancel: "Keep it",
    work: async () => {
      await request("DELETE", at());
      toast("Message was deleted.", "good");
      changed("deleted");
    },
  });
}

async function fetched(root, load) {
  fill(root, loading());
  try {
    fill(root, await load());
  } catch (error) {
    fill(root, trouble(error, () => fetched(root, load)));
  }
}

function showText(root, url) {
  return fetched(root, async () => {
    const text = await (await asked("GET", url)).text();
    return text.trim() ? make("pre", { class: "mail-text", tabindex: "0" }, text) : make("p", { class: "soft" }, "There is none.");
  });
}

function showHtml(root, url, signal) {
  return fetched(root, async () => frame(await (await asked("GET", url)).text(), signal));
}

/** The service has made the HTML safe; the frame has no origin, no key and no network in case it has not. */
function frame(html, signal) {
  const inside = make("iframe", { class: "mail-frame", src: "/letter", sandbox: "allow-scripts", title: "The message" });
  const hand = (event) => {
    if (event.source === inside.contentWindow && event.data === "ready") {
      inside.contentWindow.postMessage({ html }, "*");
    }
  };
  addEventListener("message", hand, { signal }); // a tab that is shown again loads its frame again
  return inside;
}

function showAttachments(root, at) {
  return fetched(root, async () => {
    const found = await request("GET", at("attachments"));
    if (found.length === 0) {
      return make("p", { class: "soft" }, "This message has no attachments.");
    }
    return make("ul", { class: "files" }, found.map((file) => attachment(file, at)));
  });
}

function attachment(file, at) {
  const name = file.fileName || file.contentId || file.checksum;
  const keep = button("Download", "download", { class: "button-small", "aria-label": `Download ${name}` });
  keep.addEventListener("click", () => doing(keep, () => store(at("attachments", file.checksum), name)));
  return make("li", {}, icon("clip"), make("span", { class: "file-name" }, name), make("span", { class: "small soft" }, `${file.contentType} · ${size(file.length)}`), keep);
}
