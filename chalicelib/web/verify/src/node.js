// One question at a time to a node of the network, over JSON-RPC.

/** The node does not answer: then nothing is known. */
export class Unreadable extends Error {}

// Public nodes bound what they search at once, each in words of its own.
const REFUSES_RANGE = /range|limit|too many|too large|too big|exceed|more than/i;
const TIMEOUT_MS = 60_000;

export const node = (url) => {
  let id = 0;
  return async (method, ...params) => {
    let answer;
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ jsonrpc: '2.0', id: ++id, method, params }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      answer = await response.json();
    } catch (failure) {
      // A browser says no more of a page that may not ask (CORS) than of a node that is not there.
      const why = failure instanceof TypeError ? 'it is not there, or lets no web page ask (box verify may)' : failure.message;
      throw new Unreadable(`the node does not answer ${method}: ${why}`);
    }
    if (!answer || !('result' in answer)) throw new Unreadable(`the node refuses ${method}: ${answer?.error?.message}`);
    // Of transactions and blocks there may be none; everything else has an answer.
    if (answer.result === null && !/^eth_get(Transaction|Block)/.test(method)) throw new Unreadable(`the node answers ${method} with nothing`);
    return answer.result;
  };
};

/** A number as nodes write it. */
export const quantity = (value, what) => {
  if (!/^0x[0-9a-f]+$/i.test(value)) throw new Unreadable(`what answers ${what} is no node: ${String(value).slice(0, 80)}`);
  return Number(value);
};

/** A contract's logs from one block to another, oldest first; where the node finds that too much, in halves until it fits. */
export const logsOf = async (rpc, address, topics, first, last) => {
  const [fromBlock, toBlock] = [first, last].map((block) => '0x' + block.toString(16));
  try {
    return await rpc('eth_getLogs', { address, fromBlock, toBlock, topics });
  } catch (refusal) {
    if (first === last || !REFUSES_RANGE.test(refusal.message)) throw refusal;
  }
  const middle = Math.floor((first + last) / 2);
  const earlier = await logsOf(rpc, address, topics, first, middle);
  return [...earlier, ...(await logsOf(rpc, address, topics, middle + 1, last))];
};
