// Where the service is: these files lie in its static/, wherever a proxy has put it.

const ROOT = new URL("..", import.meta.url);

/** Of the service, without a slash at the end: https://relay.example.com, or https://example.com/relay. */
export const BASE = ROOT.href.replace(/\/$/, "");

/** The URL of a path of the service: `at("/api/me")`. */
export function at(path) {
  return new URL(path.replace(/^\//, ""), ROOT).href;
}

/** The URL of the socket of a service, from its base URL. */
export function socketUrl(base) {
  const url = new URL(`${base.replace(/\/$/, "")}/incoming-messages`);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}
