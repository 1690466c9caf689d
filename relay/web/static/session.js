// Who is signed in, in this tab only: sessionStorage ends with it, and never goes over the network by itself.

const KEY = "relay.key";
const ACCOUNT = "relay.account";
const listeners = new Set();

/** The API key; "" when nobody is signed in. */
export function key() {
  return sessionStorage.getItem(KEY) ?? "";
}

/** The account's id; "" when it is not known. */
export function account() {
  return sessionStorage.getItem(ACCOUNT) ?? "";
}

/** Signs in. `key`: as its owner has it; `account`: its id, "" when not known. */
export function signIn(newKey, newAccount = "") {
  keep(KEY, newKey);
  keep(ACCOUNT, newAccount);
  tell();
}

/** Forgets key and account. */
export function signOut() {
  signIn("", "");
}

/** `heard` is called, without arguments, after each change. */
export function onChange(heard) {
  listeners.add(heard);
}

function keep(name, value) {
  if (value) {
    sessionStorage.setItem(name, value);
  } else {
    sessionStorage.removeItem(name);
  }
}

function tell() {
  for (const heard of listeners) {
    heard();
  }
}
