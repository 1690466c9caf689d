// Whose key this is, and REST calls that notice when it is nobody's any more.

import { ApiError, ask, call } from "./api.js";
import * as session from "./session.js";

let farewell = "";

/** Why the last session ended by itself; "" when its owner ended it. Told once. */
export function takeFarewell() {
  const told = farewell;
  farewell = "";
  return told;
}

/** The account's id with this key; "" when the service does not tell. Throws ApiError: 401 for a wrong key. */
export async function accountOf(key) {
  const known = await me(key);
  if (known) {
    return known._id;
  }
  const addresses = await call("GET", "/api/addresses", { key });
  return addresses[0]?.owner ?? "";
}

/** What the service tells of the account; null when it tells nothing. */
export async function me(key = session.key()) {
  try {
    return await call("GET", "/api/me", { key });
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) {
      return null;
    }
    throw error;
  }
}

/** As `ask` of api.js. A key that was revoked meanwhile ends the session. */
export async function asked(method, url, options = {}) {
  try {
    return await ask(method, url, options);
  } catch (error) {
    await notice(error);
    throw error;
  }
}

/** As `call` of api.js, and as `asked`. */
export async function request(method, url, options = {}) {
  const response = await asked(method, url, options);
  return response.status === 204 ? null : response.json();
}

/** Ends the session when it is its key that was refused: 401 is also the answer for what is another's. */
async function notice(error) {
  if (!(error instanceof ApiError) || error.status !== 401 || !session.key()) {
    return;
  }
  const refused = await call("GET", "/api/keys").then(() => false, (again) => again.status === 401);
  if (refused) {
    farewell = "Your key does not work any more: it was revoked. Sign in with another.";
    session.signOut();
  }
}
