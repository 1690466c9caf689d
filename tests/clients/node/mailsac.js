// Each line of stdin is a call of @mailsac/api, as ["addresses.getAddress", "a@example.com"];
// each line of stdout is its answer, as {"status": 200, "data": …}.
const readline = require('node:readline');
const { Mailsac } = require('@mailsac/api');

const mailsac = new Mailsac({
  baseURL: process.env.MAILSAC_BASE_URL,
  headers: { 'Mailsac-Key': process.env.MAILSAC_KEY },
});

async function answer(name, ...args) {
  const [noun, verb] = name.split('.');
  try {
    const { status, data } = await mailsac[noun][verb](...args);
    return { status, data };
  } catch (error) {
    if (!error.response) throw error; // not an answer: let the program end with it
    return { status: error.response.status, data: error.response.data };
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await answer(...JSON.parse(line))));
  }
}

main();
