// What Cloudflare does with an Email Worker: calls email() for each mail, and tells the sending server what came of it.
// argv: the worker's file. stdin: one JSON a line, {from, to, raw (base64), lose, answers}. stdout: one JSON a line,
// {outcome: "accepted" | "rejected" | "failed", reason, tries}.
//
// lose: of so many tries the answer is lost on the way back. answers: statuses that a proxy in front of relay gives first.
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const { default: worker } = await import(pathToFileURL(process.argv[2]));
const { RELAY_URL, RELAY_SECRET, RELAY_RETRY_SECONDS } = process.env;
const realFetch = globalThis.fetch;
console.log = console.error; // stdout is for answers

function headersOf(raw) {
  const block = raw.toString('utf8').split(/\r?\n\r?\n/, 1)[0].replace(/\r?\n[ \t]+/g, ' ');
  const fields = [...block.matchAll(/^([!-9;-~]+):[ \t]*([^\r\n]*)/gm)];
  return new Headers(fields.map(([, name, value]) => [name, value]));
}

async function deliver({ from, to, raw, lose = 0, answers = [] }) {
  const bytes = Buffer.from(raw, 'base64');
  let tries = 0;
  globalThis.fetch = async (...request) => {
    const proxied = answers[tries];
    tries++;
    if (proxied) return new Response('busy', { status: proxied, headers: { 'Retry-After': '0' } });
    const answer = await realFetch(...request);
    if (tries <= lose) throw new TypeError('the connection was lost');
    return answer;
  };
  let reason = '';
  const message = {
    from,
    to,
    headers: headersOf(bytes),
    raw: new Blob([bytes]).stream(),
    rawSize: bytes.length,
    setReject: (text) => (reason = text),
  };
  try {
    await worker.email(message, { RELAY_URL, RELAY_SECRET, RELAY_RETRY_SECONDS }, {});
    return { outcome: reason ? 'rejected' : 'accepted', reason, tries };
  } catch (error) {
    return { outcome: 'failed', reason: String(error), tries };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await deliver(JSON.parse(line)))}\n`);
}
