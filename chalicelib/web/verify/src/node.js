// One question at a time to a node of the network, over JSON-RPC.

/** The node does not answer: then nothing is known. */
export class Unreadable extends Error {}

// Public nodes bound what they search at once, each in words of its own.
const REFUSES_RANGE = /range|limit|too many|exceed|more than/i;

export const node = (url) => {
  let id = 0;
  return async (method, ...params) => {
    let answer;
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ jsonrpc: '2.0', id: ++id, method, params }),
      });
      answer = await response.json();
    } catch (failure) {
      throw new Unreadable(`the node does not answer ${method}: ${failure.message}`);
    }
    if (!answer || !('result' in answer)) throw new Unreadable(`the node refuses ${method}: ${answer?.error?.message}`);
    return answer.result;
  };
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
