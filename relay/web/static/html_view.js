// The HTML of a mail: in a frame without any rights, inside of a frame without a network (mail_frame.js).

import { fill, icon, make } from "./dom.js";
import { at } from "./service.js";

const HTML_CHARS = 2_000_000; // more of one of these is no mail to look at, but one to choke on
const HTML_TAGS = 50_000;
const HTML_DEPTH = 500;
const NEED_NO_END = new Set(
  "area base body br col dd dt embed head hr html img input li link meta option p source tbody td th tr wbr".split(" "),
);
const PICTURE_BYTES = 4 * 1024 * 1024; // of one picture inside of a mail
const PICTURES = 20;

/** Fills `panel`. `attachments`: of the mail, among which are its own pictures. */
export function showHtml(panel, html, attachments) {
  if (isBomb(html)) {
    fill(panel, make("p", { class: "soft" }, "This HTML is too long, or too deep, to be shown. Raw has it."));
    return;
  }
  const attributes = { class: "letter", src: at("letter"), sandbox: "allow-scripts", title: "HTML of the mail" };
  const frame = make("iframe", attributes);
  const post = (said) => frame.contentWindow?.postMessage(said, "*");
  const heard = ({ source, data }) => {
    if (!frame.isConnected) {
      removeEventListener("message", heard);
    } else if (source === frame.contentWindow && data === "ready") {
      post({ html });
    } else if (source === frame.contentWindow) {
      removeEventListener("message", heard);
      frame.before(...remoteNote(data.remote));
      // Without them it is still the mail.
      pictures(data.pictures, attachments).then((found) => found && post({ pictures: found }), () => {});
    }
  };
  addEventListener("message", heard);
  fill(panel, frame);
}

/** Whether a browser would work on it for seconds: elements in each other cost it the square of their depth. */
function isBomb(html) {
  let depth = 0;
  let tags = 0;
  for (const [, end, name] of html.length > HTML_CHARS ? [] : html.matchAll(/<(\/?)([a-z][a-z0-9]*)/gi)) {
    tags += 1;
    if (!NEED_NO_END.has(name.toLowerCase())) {
      depth = Math.max(depth + (end ? -1 : 1), 0);
    }
    if (tags > HTML_TAGS || depth > HTML_DEPTH) {
      return true;
    }
  }
  return html.length > HTML_CHARS;
}

function remoteNote(count) {
  if (!(count > 0)) {
    return [];
  }
  const things = count === 1 ? "One thing of another host was" : `${count} things of other hosts were`;
  const text = `${things} not loaded: loading a picture tells its sender that you read the mail.`;
  return [make("p", { class: "notice small" }, icon("eye"), make("span", {}, text))];
}

/** Data URLs by Content-ID, of those that the mail brought along; null when there are none. */
async function pictures(wanted, attachments) {
  const listed = wanted.length > 0 ? await attachments.list() : [];
  const fits = (one) => /^image\/(?!svg)/.test(one.contentType) && one.length <= PICTURE_BYTES;
  const found = listed.filter((one) => wanted.includes(bare(one.contentId)) && fits(one)).slice(0, PICTURES);
  const load = async (one) => {
    const blob = await attachments.blob(one.checksum);
    return [bare(one.contentId), await dataUrl(blob.slice(0, blob.size, one.contentType))];
  };
  return found.length > 0 ? Object.fromEntries(await Promise.all(found.map(load))) : null;
}

function bare(contentId) {
  return (contentId ?? "").trim().replace(/^<|>$/g, "");
}

function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
