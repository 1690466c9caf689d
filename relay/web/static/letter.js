// The frame around a mail's HTML: it has no origin, no key and no network, and puts what it is handed into another
// frame without any rights. A script of its own, no module: a document without origin may load no modules.
addEventListener("message", (event) => {
  if (event.source !== parent || typeof event.data !== "string") {
    return;
  }
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "");
  frame.title = "HTML of the mail";
  Object.assign(frame.style, { position: "fixed", inset: "0", width: "100%", height: "100%", border: "0" });
  frame.srcdoc = event.data;
  document.body.replaceChildren(frame);
});
parent.postMessage("ready", "*");
