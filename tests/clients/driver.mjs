// Relays commands to the Node client: a JSON list on stdin, a JSON list of outcomes on stdout. See languages.py.

import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { MerchantBox, MerchantBoxError, PostbackRefused, signPage, verifyPostback } from '../../examples/node/merchant-box.mjs';

const operations = {
  signPage: (one) => {
    const orderId = one.orderId ?? String.fromCharCode(...one.orderIdCodeUnits);
    return signPage(one.secret, orderId, one.action, one.values, one.currency);
  },
  verifyPostback: (one) => verifyPostback({ ...one, payload: Buffer.from(one.payloadBase64, 'base64') }) ?? 'accepted',
  show: (one) => {
    const box = new MerchantBox(one.url, one.key);
    return inspect(box, { showHidden: true, depth: 5 }) + JSON.stringify(box) + String(box);
  },
};
for (const name of ['report', 'reportBatch', 'validate']) {
  operations[name] = (one) => new MerchantBox(one.url, one.key, one.options)[name](one.argument);
}
operations.change = (one) => new MerchantBox(one.url, one.key, one.options).change(one.conversionId, one.argument);

async function outcome(command) {
  try {
    return { ok: await operations[command.operation](command) };
  } catch (error) {
    const text = inspect(error, { showHidden: true, depth: 10 });
    if (error instanceof MerchantBoxError) return { failed: { ...error }, text };
    if (error instanceof PostbackRefused) return { refused: error.code, text };
    if (error instanceof TypeError) return { misused: error.message, text };
    throw error;
  }
}

const outcomes = [];
for (const command of JSON.parse(readFileSync(0, 'utf8'))) {
  const began = performance.now();
  outcomes.push({ ...(await outcome(command)), seconds: (performance.now() - began) / 1000 });
}
process.stdout.write(JSON.stringify(outcomes));
