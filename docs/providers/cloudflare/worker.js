// Cloudflare Email Worker: hands each mail of an address or a domain to relay, byte for byte.
// How to set it up: ../cloudflare.md. It needs nothing but what a Worker (or Node 20) has: fetch and Web Crypto.
//
//   RELAY_URL            https://relay.example.com/inbound/raw
//   RELAY_SECRET         one of RELAY_RAW_SECRET; put it in with `wrangler secret put RELAY_SECRET`
//   RELAY_RETRY_SECONDS  optional: wait before another try when relay does not say how long (2)
//
// The sending server is told 250 only after relay has stored the mail. An exception is a temporary failure to it (it
// tries again, for days); setReject is a permanent one, whose text reaches the person who wrote the mail.

const TRIES = 3;
const TRY_MS = 15_000; // with the waits under a minute; RFC 5321 section 4.5.3.2.6 has the client wait for ten
const LONGEST_WAIT_SECONDS = 5;

export default {
  async email(message, env) {
    const raw = new Uint8Array(await new Response(message.raw).arrayBuffer()); // the stream can be read only once
    const id = await eventId(message, raw);
    const answer = await post(raw, id, message, env);
    const reason = await permanent(answer, message.to);
    if (reason) {
      console.log(JSON.stringify({ event: 'rejected', id, status: answer.status, reason }));
      message.setReject(reason);
    }
  },
};

// Why the mail must bounce; '' when relay has taken it. Throws when a later try may end otherwise.
async function permanent(answer, recipient) {
  if (answer.status === 413) return `The mail is too large for ${recipient}`;
  if (answer.status === 400 || answer.status === 415) return `The mail for ${recipient} cannot be read as a mail`;
  // 401, 403, 404 and the like are a wrong RELAY_URL or RELAY_SECRET: yours to mend while the sending server waits.
  if (answer.status !== 200) throw new Error(`relay answered ${answer.status}; the sending server will try again`);
  const { accepted, rejected } = await answer.json(); // throws for a page of something that is not relay
  if (accepted.length > 0) return '';
  const reasons = rejected.map((one) => one.reason);
  if (reasons.includes('forwarding off')) return `The mailbox ${recipient} does not take mail at present`;
  if (reasons.includes('not an address')) return `${recipient} is not a mail address`;
  return `There is no mailbox ${recipient} here`;
}

// Tries again while relay is away, always as the same event: an answer may be lost although the mail was stored.
async function post(raw, id, message, env) {
  for (let tried = 1; ; tried++) {
    let failure;
    try {
      const answer = await postOnce(raw, id, message, env);
      if (answer.status < 500 && answer.status !== 429) return answer;
      if (tried === TRIES) return answer;
      failure = answer;
    } catch (error) {
      if (tried === TRIES) throw error;
    }
    await wait(failure, env);
  }
}

async function postOnce(raw, id, message, env) {
  const timestamp = String(Math.floor(Date.now() / 1000)); // of this try: relay refuses what is older than 5 minutes
  const headers = {
    'Content-Type': 'message/rfc822',
    'Webhook-Id': id,
    'Webhook-Timestamp': timestamp,
    'Webhook-Signature': await signature(`${id}.${timestamp}.`, raw, env.RELAY_SECRET),
    'X-Envelope-To': asBytes(message.to),
  };
  if (message.from) headers['X-Envelope-From'] = asBytes(message.from); // a bounce has none
  const signal = AbortSignal.timeout(TRY_MS);
  return fetch(env.RELAY_URL, { method: 'POST', headers, body: raw, redirect: 'manual', signal });
}

async function wait(answer, env) {
  const asked = Number(answer?.headers.get('Retry-After') ?? env.RELAY_RETRY_SECONDS ?? 2);
  const seconds = Math.min(Number.isFinite(asked) ? asked : LONGEST_WAIT_SECONDS, LONGEST_WAIT_SECONDS);
  await answer?.body?.cancel();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

// A name for the mail that stays the same when the sending server comes again. Not of all of its bytes: Cloudflare puts
// a Received field with the time in front. Not the Message-ID alone: two mails of a careless program may share one.
async function eventId(message, raw) {
  const told = ['message-id', 'date', 'subject'].map((name) => message.headers.get(name) ?? '');
  const head = new TextEncoder().encode(JSON.stringify([message.from, message.to, ...told]));
  const body = await crypto.subtle.digest('SHA-256', bodyOf(raw));
  return hex(await crypto.subtle.digest('SHA-256', joined(head, new Uint8Array(body))));
}

// Behind the first empty line; all of it when there is none.
function bodyOf(raw) {
  for (let at = raw.indexOf(10); at >= 0; at = raw.indexOf(10, at + 1)) {
    if (raw[at + 1] === 10) return raw.subarray(at + 2);
    if (raw[at + 1] === 13 && raw[at + 2] === 10) return raw.subarray(at + 3);
  }
  return raw;
}

// Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 of id, time and body. The key is the text of the
// secret as it is, which relay takes whatever the secret looks like.
async function signature(prefix, raw, secret) {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', new TextEncoder().encode(secret), algorithm, false, ['sign']);
  const signed = await crypto.subtle.sign('HMAC', key, joined(new TextEncoder().encode(prefix), raw));
  return `v1,${btoa(String.fromCharCode(...new Uint8Array(signed)))}`;
}

function joined(first, second) {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}

function hex(buffer) {
  return [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

// A header holds bytes; addresses beyond ASCII (RFC 6531) go as UTF-8.
function asBytes(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
