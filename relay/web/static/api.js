// REST calls with the key of this session: in a header, never in a URL.

import { at } from "./service.js";
import * as session from "./session.js";
import { inWordsOfPages } from "./advice.js";

const PATIENCE_MS = 30_000;

/** What the service answered instead of what was asked for, or that it did not answer. */
export class ApiError extends Error {
  /** `status`: of HTTP, 0 when there was no answer; `retryAfter`: seconds, or null. */
  constructor(text, status, retryAfter = null) {
    super(text);
    this.name = "ApiError";
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** A path from its parts, each of them percent-encoded: `path("addresses", "a/b@x.test", "sample")`. */
export function path(...parts) {
  return `/api/${parts.map((part) => encodeURIComponent(part)).join("/")}`;
}

/** The JSON that the call is answered with; null for 204. Throws ApiError. */
export async function call(method, url, options = {}) {
  const response = await ask(method, url, options);
  return response.status === 204 ? null : response.json();
}

/** The bytes that the call is answered with. Throws ApiError. */
export async function blob(url, options = {}) {
  return (await ask("GET", url, options)).blob();
}

/**
 * The Response, when it is a success. `body`: made JSON; `key`: in place of the session's; `signal`: gives up;
 * `patienceMs`: gives up by itself.
 */
export async function ask(method, url, { body, key = session.key(), signal, patienceMs = PATIENCE_MS } = {}) {
  const limit = AbortSignal.timeout(patienceMs);
  const headers = { "Mailsac-Key": key };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(at(url), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
  } catch (error) {
    if (signal?.aborted) {
      throw error;
    }
    throw new ApiError("The service does not answer. Is it running, and is the network there?", 0);
  }
  if (!response.ok) {
    throw await refusal(response);
  }
  return response;
}

async function refusal(response) {
  const said = await response.json().catch(() => ({}));
  const text = said.error || said.message || `The service answered ${response.status}.`;
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  return new ApiError(inWordsOfPages(text), response.status, Number.isNaN(seconds) ? null : seconds);
}
