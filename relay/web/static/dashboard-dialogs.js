// Dialogs: the browser's own, which keep the keyboard inside and give the focus back.

import { fill, icon, make } from "./dom.js";
import { button } from "./dashboard-parts.js";

let made = 0;

/** Opens a dialog with a title; the answer is its element. It is gone when it is closed. */
export function dialog(title, ...content) {
  made += 1;
  const id = `dialog-title-${made}`;
  const close = make("button", { class: "button-quiet button-icon", type: "button", "aria-label": "Close" }, icon("close"));
  const box = make(
    "dialog",
    { "aria-labelledby": id },
    make("div", { class: "dialog-head" }, make("h2", { id }, title), close),
    content,
  );
  const opener = document.activeElement;
  close.addEventListener("click", () => box.close());
  box.addEventListener("close", () => {
    box.remove();
    giveBackFocus(opener);
  });
  document.body.append(box);
  box.showModal();
  return box;
}

/**
 * A dialog that only its own buttons close, by `close`, because what it shows cannot be had again. `tried` is called,
 * without arguments, when a person tries it otherwise.
 */
export function lastingDialog(title, tried, ...content) {
  const box = dialog(title, ...content);
  const stays = (event) => {
    event.preventDefault();
    tried();
  };
  box.setAttribute("closedby", "none"); // a browser that does not know it asks by `cancel`, but the first time only
  box.querySelector(".dialog-head button").remove();
  box.addEventListener("cancel", stays);
  box.addEventListener("keydown", (event) => event.key === "Escape" && stays(event));
  return box;
}

/** The browser does that, unless what opened the dialog was made anew meanwhile; then to what stands in its place. */
function giveBackFocus(opener) {
  if (opener.isConnected || document.activeElement !== document.body) {
    return;
  }
  const name = opener.getAttribute("aria-label");
  const again = [...document.querySelectorAll("#section button")].find((one) => name && one.getAttribute("aria-label") === name);
  (again ?? document.querySelector("#section h1"))?.focus();
}

/**
 * A dialog with a form. `fields`: of `field` and `check`; `work` gets the values, and what it throws is shown beside
 * the button. `more`: what stands below the form. Returns the dialog.
 */
export function formDialog({ title, fields = [], submit, danger = false, cancel = "Cancel", work, more = null }) {
  const error = make("p", { class: "field-error", role: "alert" });
  const send = make("button", { type: "submit", class: danger ? "button-danger" : "button-primary" }, submit);
  const leave = button(cancel, null, {});
  const form = make("form", { class: "stack", novalidate: true }, fields, error, make("div", { class: "row dialog-foot" }, send, leave));
  const box = dialog(title, form, more);
  leave.addEventListener("click", () => box.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    fill(error);
    send.disabled = true;
    try {
      await work(values(form));
      box.close();
    } catch (failure) {
      fill(error, failure.message);
      form.querySelector("input")?.focus();
    } finally {
      send.disabled = false;
    }
  });
  (form.querySelector("input") ?? leave).focus();
  return box;
}

function values(form) {
  const given = {};
  for (const input of form.querySelectorAll("input")) {
    given[input.name] = input.type === "checkbox" ? input.checked : input.value.trim();
  }
  return given;
}

/** A line to fill in. `attributes` are of the input. */
export function field(name, label, hint, attributes = {}) {
  made += 1;
  const id = `field-${made}`;
  return make(
    "div",
    { class: "field" },
    make("label", { for: id }, label),
    make("input", { id, name, autocomplete: "off", "aria-describedby": hint ? `${id}-hint` : null, ...attributes }),
    hint && make("p", { class: "field-hint", id: `${id}-hint` }, hint),
  );
}

/** A box to tick. */
export function check(name, label, hint, checked) {
  made += 1;
  const id = `field-${made}`;
  return make(
    "div",
    { class: "check" },
    make("input", { id, name, type: "checkbox", checked, "aria-describedby": hint ? `${id}-hint` : null }),
    make("div", {}, make("label", { for: id, class: "check-label" }, label), hint && make("p", { class: "field-hint", id: `${id}-hint` }, hint)),
  );
}
