// How a WebSocket ends, and what is missing, in words for the person in front of it. README.md has the same tables.

const CLOSES = {
  1000: ["The socket was closed.", true],
  1001: ["The other side went away.", true],
  1006: ["The connection broke: the service, or the network between, is gone.", true],
  1009: ["This page sent too much. That should not happen.", false],
  1011: ["The service has a trouble of its own, such as a Redis that is away.", true],
  1012: ["The service is restarting.", true],
  4400: ["The request was not understood.", false],
  4401: ["The API key is unknown or was revoked.", false],
  4403: ["An address is not yours, or its forwarding is off.", false],
  4408: ["This page read too slowly, and too much was waiting. Nothing is lost.", true],
  4429: ["Too many sockets of this account are open.", true],
};

const REASONS = {
  expired: "It is older than the service keeps mail.",
  trimmed: "More mail came than the service keeps or replays at once.",
  epoch: "The store lost its count, so nobody can say whether something is missing.",
};

const REJECTIONS = {
  "forwarding off": "Its WebSocket forwarding is off, so nobody gets its mail. Switch it on, and try again.",
  "not reserved": "No account has reserved it. Reserve it first.",
  "not an address": "That is not an address.",
};

/** What a close code means, and whether to come back: `{text, retry}`. */
export function close(code) {
  const [text, retry] = CLOSES[code] ?? [`The socket was closed with code ${code}.`, code < 4000];
  return { text, retry };
}

/** What a gap frame means. */
export function gap(frame) {
  const reason = REASONS[frame.reason] ?? `The service says: ${frame.reason}.`;
  return frame.reason === "epoch" ? reason : `Some mail cannot be given any more. ${reason}`;
}

/** Why a mail was not taken. `rejected`: one entry of the answer of a door. */
export function rejection(rejected) {
  const why = REJECTIONS[rejected.reason] ?? `The service says: ${rejected.reason}.`;
  return `${rejected.inbox} did not get the mail. ${why}`;
}
