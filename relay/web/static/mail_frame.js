// The frame around a mail's HTML. It has no origin, no key and no network, and puts what it is handed into another frame
// without any rights. That is what really holds. It takes out before what that frame would refuse, so that it need not,
// and so that the reader can be told what is missing. No module: a document without origin may load none.
//
// It says "ready" to the page around it, which answers with text, a document that is safe already; or with
// `{html}`, a mail's own, and is told `{remote, pictures}`: how many things of other hosts are left out, and the
// Content-IDs of its own pictures, which it may hand over as `{pictures}`: data URLs by Content-ID.

const GONE = [
  "script", "noscript", "template", "iframe", "frame", "frameset", "object", "embed", "applet", "link",
  "meta", "base", "svg", "math", "video", "audio", "source", "track", "portal", "dialog",
].join(",");
const POINTING = [
  "src", "srcset", "href", "xlink:href", "background", "poster", "action", "formaction",
  "ping", "data", "cite", "longdesc", "lowsrc", "dynsrc", "manifest", "imagesrcset",
];
const OWN_PICTURE = /^data:image\/(?:png|jpeg|gif|webp|bmp|x-icon);base64,/i;
const MAY_LOAD = /\\|url\s*\(|@import|image-set|src\s*\(|expression/i;

const TAG = /<[a-z][^<>]*>/gi;
const HANDLER = /([\s"'/])on(?=[a-z]+\s*=)/gi;

// What a mail may do inside of the frame; it can only be less than what the page around it allows.
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
const STYLE = `
  html{color-scheme:only light;color:#1b2320}
  body{margin:16px;font:15px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
  img{max-width:100%;height:auto}
  pre{white-space:pre-wrap}
`;

/**
 * Reads a mail's HTML. Returns `{document, remote, pictures}`: an inert document without scripts, forms and addresses
 * of other hosts; how many things of other hosts it wanted to load; and its pictures by Content-ID (`Map` of the id to
 * a list of `<img>`).
 */
function clean(html) {
  const parsed = new DOMParser().parseFromString(html.replace(TAG, quiet), "text/html");
  const found = { document: parsed, remote: 0, pictures: new Map() };
  for (const element of parsed.querySelectorAll(GONE)) {
    element.remove();
  }
  for (const form of parsed.querySelectorAll("form")) {
    form.replaceWith(...form.childNodes);
  }
  for (const control of parsed.querySelectorAll("button,input,select,textarea")) {
    control.setAttribute("disabled", "");
  }
  for (const element of parsed.querySelectorAll("*")) {
    disarm(element, found);
  }
  return found;
}

/** The document for `srcdoc` of a frame with `sandbox=""`. */
function framed(parsed) {
  const policy = `<meta http-equiv="Content-Security-Policy" content="${POLICY}">`;
  const head = `<meta charset="utf-8">${policy}<style>${STYLE}</style>`;
  const styles = [...parsed.head.querySelectorAll("style")].map((style) => style.outerHTML).join("");
  return `<!doctype html><html lang=""><head>${head}${styles}</head>${parsed.body?.outerHTML ?? ""}</html>`;
}

/** Handlers and base URLs count for nothing here; but the browser complains in the console as soon as it reads them. */
function quiet(tag) {
  return tag.replace(HANDLER, "$1data-on").replace(/^<base/i, "<x-base");
}

function disarm(element, found) {
  if (element.localName === "style" && MAY_LOAD.test(element.textContent)) {
    found.remote += /url\s*\(|@import/i.test(element.textContent) ? 1 : 0;
    element.textContent = withoutLoads(element.textContent);
  }
  if (element.localName === "img") {
    notePicture(element, found);
  }
  for (const { name, value } of [...element.attributes]) {
    const pointing = POINTING.includes(name.toLowerCase());
    if (name === "href" && /^https?:/i.test(value)) {
      element.setAttribute("title", value); // where it leads is worth knowing; going there is not ours
    }
    const own = element.localName === "img" && name === "src" && OWN_PICTURE.test(value);
    if (/^on/i.test(name) || ["target", "form", "autofocus"].includes(name) || (pointing && !own)) {
      element.removeAttribute(name);
    } else if (name === "style" && MAY_LOAD.test(value)) {
      found.remote += 1;
      element.setAttribute("style", withoutLoads(value));
    }
  }
}

/** Style in which nothing is loaded; without any, where that cannot be told. */
function withoutLoads(style) {
  const left = style.replace(/url\s*\((?:"[^"]*"|'[^']*'|[^()"'])*\)/gi, "none");
  return MAY_LOAD.test(left) ? "" : left;
}

function notePicture(picture, found) {
  const source = picture.getAttribute("src") ?? "";
  if (/^cid:/i.test(source)) {
    const id = decoded(source.slice(4));
    found.pictures.set(id, [...(found.pictures.get(id) ?? []), picture]);
  } else if (source && !OWN_PICTURE.test(source)) {
    found.remote += 1;
  }
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/* ---- what the page around it says ---- */

let cleaned = null;

function show(source) {
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "");
  frame.title = "HTML of the mail";
  Object.assign(frame.style, { position: "fixed", inset: "0", width: "100%", height: "100%", border: "0" });
  frame.srcdoc = source;
  document.body.replaceChildren(frame);
}

function putPictures(pictures) {
  for (const [id, url] of Object.entries(pictures)) {
    if (OWN_PICTURE.test(url)) {
      cleaned?.pictures.get(id)?.forEach((picture) => picture.setAttribute("src", url));
    }
  }
}

addEventListener("message", ({ source, data }) => {
  if (source !== parent) {
    return;
  }
  if (typeof data === "string") {
    show(data);
    return;
  }
  if (data.html !== undefined) {
    cleaned = clean(String(data.html));
    parent.postMessage({ remote: cleaned.remote, pictures: [...cleaned.pictures.keys()] }, "*");
  } else {
    putPictures(data.pictures ?? {});
  }
  if (cleaned) {
    show(framed(cleaned.document));
  }
});
parent.postMessage("ready", "*");
