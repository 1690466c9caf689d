// One message, opened: its safe HTML in a frame without rights, text, headers, attachments, the original to keep.

import * as session from "./session.js";
import { path } from "./api.js";
import { Attachments, showAttachments } from "./attachments.js";
import { download, fill, icon, make, size, time } from "./dom.js";
import { toast } from "./toast.js";
import { asked, request } from "./dashboard-account.js";
import { formDialog } from "./dashboard-dialogs.js";
import { button, loading, notice, trouble } from "./dashboard-parts.js";
import { showHtml } from "./html_view.js";
import { linksTab } from "./links.js";
import { block, people } from "./message_view.js";
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
    fill(root, view(letter, { email, at, back, changed }));
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

function view(letter, { email, at, back, changed }) {
  const attachments = new Attachments(letter, session.key());
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
      { name: "Message", show: bodyOf(path("body", email, letter._id), attachments) },
      { name: "Text", show: once((root) => showText(root, path("text", email, letter._id))) },
      linksTab(letter.links),
      { name: "Headers", show: once((root) => showText(root, `${at("headers")}?messageHeadersFormat=plain`)) },
      letter.attachments?.length > 0 && { name: `Attachments (${letter.attachments.length})`, show: once((root) => showAttachments(root, attachments)) },
      { name: "Raw", show: once((root) => showRaw(root, path("raw", email, letter._id))) },
      { name: "JSON", show: () => json(letter) },
    ].filter(Boolean))),
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

/** As `once`, but for the frame: one that is put into the page again is empty. The service has made the HTML safe. */
function bodyOf(url, attachments) {
  let html = null;
  return () => {
    const root = make("div", {});
    fetched(root, async () => {
      html ??= await (await asked("GET", url)).text();
      showHtml(root, html, attachments);
    });
    return root;
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

/** A button that keeps a message from being dropped, or lets go of it. */
function starButton(letter, at, changed) {
  let starred = Boolean(letter.savedBy);
  const star = make("button", { class: "button-small star", type: "button" });
  const show = () => {
    fill(star, icon(starred ? "star-full" : "star"), starred ? "Starred" : "Star");
    star.setAttribute("aria-pressed", String(starred));
  };
  star.addEventListener("click", () => doing(star, async () => {
    starred = Boolean((await request("PUT", at("star"))).savedBy);
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
    await load();
  } catch (error) {
    fill(root, trouble(error, () => fetched(root, load)));
  }
}

function showText(root, url) {
  return fetched(root, async () => {
    const text = await (await asked("GET", url)).text();
    fill(root, text.trim() ? make("pre", { class: "mail-text", tabindex: "0" }, text) : make("p", { class: "soft" }, "There is none."));
  });
}

function showRaw(root, url) {
  return fetched(root, async () => {
    fill(root, block(await (await asked("GET", url)).text()));
  });
}

function json(letter) {
  const hint = "As the REST API lists it. A WebSocket gets it with text, html, headers and raw.";
  return [make("p", { class: "soft small" }, hint), block(JSON.stringify(letter, null, 2))];
}
