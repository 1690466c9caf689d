// The addresses and domains of an account, to be ticked.

import * as api from "./api.js";
import { fill, make } from "./dom.js";
import { at } from "./service.js";
import { toast } from "./toast.js";

const TICKED_AT_FIRST = 10; // of those that can be listened to; more are for whoever ticks them

/** Fills `box` with what the key's account has; returns its account id, "" when that is not known. Throws ApiError. */
export async function offer(box, key, signal) {
  const asked = { key, signal };
  const [addresses, domains] = await Promise.all([
    api.call("GET", "/api/addresses", asked),
    api.call("GET", "/api/domains", asked),
  ]);
  const owned = domains.filter((domain) => domain.verified);
  const on = addresses.filter((address) => address.enablews);
  const rows = [
    ...on.map((address, place) => choice(address._id, place < TICKED_AT_FIRST)),
    ...owned.map((domain) => choice(domain._id, false, make("span", { class: "soft" }, " all of its mail"))),
    ...addresses.filter((address) => !address.enablews).map((address) => rowOfOff(address, key)),
  ];
  fill(box, rows.length > 0 ? make("div", { class: "choices" }, rows) : none());
  return addresses[0]?.owner ?? owned[0]?.owner ?? "";
}

/** What is ticked in `box`. */
export function ticked(box) {
  return [...box.querySelectorAll("input:checked")].map((input) => input.value);
}

function none() {
  const link = make("a", { href: at("dashboard") }, "dashboard");
  return make("p", { class: "field-hint" }, "This account has no address yet. Reserve one on the ", link, ".");
}

function choice(name, isTicked, ...more) {
  const input = make("input", { type: "checkbox", value: name, checked: isTicked });
  return make("label", { class: "check" }, input, make("span", {}, make("span", { class: "choice-name" }, name), more));
}

function rowOfOff(address, key) {
  const row = make(
    "div",
    { class: "choice-off" },
    make("span", { class: "choice-name" }, address._id),
    make("span", { class: "badge badge-warn" }, "forwarding off"),
  );
  const switchOn = async () => {
    try {
      await api.call("PUT", api.path("addresses", address._id), { body: { enablews: true }, key });
      row.replaceWith(choice(address._id, true));
    } catch (error) {
      toast(error.message, "bad");
    }
  };
  const label = `Switch on forwarding for ${address._id}`;
  const attributes = { class: "button-small", type: "button", onclick: switchOn, "aria-label": label };
  row.append(make("button", attributes, "Switch on"));
  return row;
}
