// The same without this page: code to copy, with this service and these addresses filled in.

import { socketUrl } from "./service.js";

const PLACEHOLDER = "YOUR_API_KEY";
const BROWSER_NOTE = "In a browser, of any origin. The key travels as a subprotocol, not in the URL.";
const PYTHON_NOTE = "Connects again and resumes by itself; relay.client comes with relay.";

/** `[{name, note, code}]`. `base`: of the service; `names`: addresses and domains; `key`: "" for a placeholder. */
export function snippets({ base, names, key }) {
  const secret = key || PLACEHOLDER;
  const url = socketUrl(base);
  const given = names.length > 0 ? names : ["you@example.com"];
  const address = given.find((name) => name.includes("@")) ?? `anything@${given[0]}`;
  const query = given.map(encodeURIComponent).join(",").replaceAll("%40", "@");
  const filled = { base: new URL(base).href.replace(/\/$/, ""), url: `${url}?addresses=${query}`, given, address, secret };
  return [
    { name: "JavaScript", note: BROWSER_NOTE, code: browser(filled) },
    { name: "Node", note: "npm install ws", code: node(filled) },
    { name: "Python", note: PYTHON_NOTE, code: python(filled) },
    { name: "Shell", note: "Listen in one terminal; send in another.", code: shell(filled) },
  ];
}

const js = (value) => JSON.stringify(value);
// As JSON, which is Python too for text and lists of text.
const py = js;
const sh = (value) => (/^[\w@%+=:,./-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`);

function browser({ url, secret }) {
  return `const url = ${js(url)};
const socket = new WebSocket(url, ["relay", ${js(`relay.key.${secret}`)}]);

socket.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  if (message._id) {
    console.log(message.inbox, message.subject); // keep message._id: &since=<_id> resumes
  } else {
    console.warn(message); // a gap, or why the socket is about to close
  }
};
socket.onclose = ({ code, reason }) => console.log("closed", code, reason);
`;
}

function node({ url, secret }) {
  return `import WebSocket from "ws";

const socket = new WebSocket(${js(url)}, {
  headers: { "Mailsac-Key": process.env.MAILSAC_KEY ?? ${js(secret)} },
});

socket.on("open", () => console.log("listening"));
socket.on("message", (data) => {
  const message = JSON.parse(data);
  console.log(message._id ? \`\${message.inbox}: \${message.subject}\` : message);
});
socket.on("close", (code, reason) => console.log("closed", code, String(reason)));
socket.on("error", (error) => console.error(error.message));
`;
}

function python({ base, given, secret }) {
  return `import asyncio
import os

from relay.client import listen

URL = ${py(base)}
ADDRESSES = ${py(given).replaceAll('","', '", "')}
KEY = os.environ.get("MAILSAC_KEY", ${py(secret)})


async def main() -> None:
    async with listen(URL, key=KEY, addresses=ADDRESSES, state="listener.json") as messages:
        async for message in messages:
            print(message["inbox"], message["subject"])


asyncio.run(main())

# In pytest: pytest_plugins = ["relay.testing"] in conftest.py, and relay_inbox has a fresh address for each test.
`;
}

function shell({ base, given, address, secret }) {
  return `export MAILSAC_KEY=${sh(secret)}

# relay: on the PATH where it is installed, .venv/bin/relay in a checkout of it
# print each mail as it arrives
relay listen ${sh(base)} --addresses ${sh(given.join(","))}

# send a sample mail
curl -w '\\n' -X POST -H "Mailsac-Key: $MAILSAC_KEY" ${sh(`${base}/api/addresses/${encodeURIComponent(address)}/sample`)}

# wait for a mail, and print the one-time code in it
relay wait ${sh(address)} --url ${sh(base)} --subject "one-time code" --since 1m --code
`;
}
