// What the service advises, in the words of these pages: it speaks of REST, whoever reads it here has buttons.

const WHERE = location.pathname.endsWith("/dashboard") ? "under" : "on the dashboard under";
const ADDRESSES = `${WHERE} Manage Email Addresses`;
const DOMAINS = `${WHERE} Custom Domains`;
const OF_PATH = "[^\\s,;)]+"; // the rest of a path, inside of a sentence

const ADVICE = [
  [`see its verificationTxt with GET /api/domains/${OF_PATH}`, `its TXT record stands ${DOMAINS}`],
  [`with POST /api/domains/${OF_PATH}`, DOMAINS],
  [`with POST /api/addresses/${OF_PATH}`, ADDRESSES],
  [`switch it on with PUT /api/addresses/${OF_PATH}(?: \\{"enablews": true\\})?`, `choose Settings ${ADDRESSES} and tick the box`],
  [" \\(POST /api/keys\\)", ""],
  ["GET /api/keys lists them", `they are listed ${WHERE} API Keys`],
].map(([said, here]) => [new RegExp(said, "g"), here]);

/** A sentence of the service, with what to press in place of what to call. Others stay as they are. */
export function inWordsOfPages(sentence) {
  return ADVICE.reduce((text, [said, here]) => text.replace(said, here), sentence);
}
