// The checks of `box verify` (ops/receipt_checks.py), the same ones in the same order, against a node alone.

import { concat, fromHex, sha256, toHex, toNumber, utf8 } from './bytes.js';
import { minorUnits } from './money.js';
import {
  DAY,
  STATUSES,
  TOPICS,
  agreementId,
  asTopic,
  commission,
  effectiveStatus,
  findBatch,
  parseAmended,
  parseDecided,
  parseRecorded,
  parseTerms,
  statusCall,
} from './network.js';

const CLOCKS_MAY_DIFFER = 900; // seconds between a box's clock and the chain's

/** The node does not answer: then nothing is known. */
export class Unreadable extends Error {}

class Mismatch extends Error {}

const demand = (holds, sentence) => {
  if (!holds) throw new Mismatch(sentence);
};
const same = (one, other) => String(one).toLowerCase() === String(other).toLowerCase();
const moment = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ') + 'Z';
const seconds = (text) => {
  const at = Math.floor(Date.parse(text) / 1000);
  if (Number.isNaN(at)) throw new Error(`${text} is no time`);
  return at;
};

/** The one JSON form of a payload: keys sorted, no spaces. */
export const canonical = (value) => {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value && typeof value === 'object') {
    const keys = Object.keys(value).sort();
    return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(',')}}`;
  }
  if (typeof value === 'number' && !Number.isSafeInteger(value)) throw new Error('a number that is no integer');
  return JSON.stringify(value);
};

const node = (url) => {
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
    if (!('result' in answer)) throw new Unreadable(`the node refuses ${method}: ${answer.error?.message}`);
    return answer.result;
  };
};

/** One receipt's checks; each returns what it found or throws. */
class Receipt {
  constructor(receipt, rpc, codeHash) {
    Object.assign(this, { shown: receipt, payload: receipt.payload, rpc, codeHash, times: new Map() });
    this.contractAddress = receipt.contract.toLowerCase();
    this.merchant = receipt.merchant.toLowerCase();
    if (!this.payload || !receipt.agreementId) throw new Error('payload or agreementId is missing');
  }

  async time(block) {
    if (!this.times.has(block)) {
      const found = await this.rpc('eth_getBlockByNumber', '0x' + block.toString(16), false);
      this.times.set(block, Number(found.timestamp));
    }
    return this.times.get(block);
  }

  logs(...topics) {
    return this.rpc('eth_getLogs', { address: this.contractAddress, fromBlock: '0x0', toBlock: this.head, topics });
  }

  minor(text) {
    return minorUnits(text, this.payload.currency);
  }

  pays(entry, amount) {
    return commission(this.terms, entry.action, entry.group, amount);
  }

  async contract() {
    this.chainId = Number(await this.rpc('eth_chainId'));
    demand(this.chainId === this.shown.chainId, `the node is on chain ${this.chainId}, the receipt is of ${this.shown.chainId}`);
    this.head = await this.rpc('eth_blockNumber');
    this.now = await this.time(Number(this.head));
    const code = fromHex(await this.rpc('eth_getCode', this.contractAddress, this.head));
    demand(toHex(await sha256(code)) === this.codeHash, `${this.contractAddress} is not the published network contract`);
    return `${this.contractAddress} on chain ${this.chainId} is the published contract`;
  }

  async commitment() {
    const hash = await sha256(concat(fromHex(this.shown.salt), utf8(canonical(this.payload))));
    const made = toHex(hash.slice(0, 20));
    demand(made === this.shown.commitment, `payload and salt give ${made}, the receipt says ${this.shown.commitment}`);
    return made;
  }

  async payloadAgrees() {
    for (const name of ['conversionId', 'agreementId', 'currency']) {
      const differs = name in this.shown && this.payload[name] !== this.shown[name];
      demand(!differs, `${name} is ${this.payload[name]} in the payload and ${this.shown[name]} beside it`);
    }
    demand(same(this.payload.merchant, this.merchant), `the payload is of merchant ${this.payload.merchant}`);
    return 'the payload says what the receipt says';
  }

  async block() {
    this.mined = await this.rpc('eth_getTransactionReceipt', this.shown.transaction);
    demand(this.mined, `the chain has no transaction ${this.shown.transaction}`);
    const [number, hash] = [Number(this.mined.blockNumber), this.mined.blockHash];
    demand(number === this.shown.blockNumber, `blockNumber is ${number} on the chain, ${this.shown.blockNumber} in the receipt`);
    demand(hash === this.shown.blockHash, `blockHash is ${hash} on the chain, ${this.shown.blockHash} in the receipt`);
    if (typeof this.shown.final !== 'boolean') throw new Error('final is missing');
    if (this.shown.final) {
      // A network without finality is taken at its word.
      const last = await this.rpc('eth_getBlockByNumber', 'finalized', false).catch(() => null);
      demand(!last || Number(last.number) >= number, 'the receipt says final, the chain does not yet');
    }
    this.recordedAt = await this.time(number);
    return `block ${number} of ${moment(this.recordedAt)}`;
  }

  async inclusion() {
    const log = this.mined.logs.find(
      (each) =>
        Number(each.logIndex) === this.shown.logIndex &&
        same(each.address, this.contractAddress) &&
        each.topics[0] === TOPICS.recorded &&
        each.topics[1] === asTopic(this.merchant),
    );
    demand(log, `the transaction has no log ${this.shown.logIndex} that records for this merchant`);
    this.recorded = parseRecorded(log);
    const sent = await this.rpc('eth_getTransactionByHash', this.shown.transaction);
    const entries = findBatch(sent.input, this.recorded.batch);
    demand(entries, 'the transaction does not show the batch whose hash it logged');
    this.index = this.shown.sequence - this.recorded.first;
    const { lines } = this.payload;
    this.entries = this.index < 0 ? [] : entries.slice(this.index, this.index + lines.length);
    const isOurs = this.entries.length === lines.length && this.entries.every((e) => e.commitment === this.shown.commitment);
    demand(isOurs, `sequence ${this.shown.sequence} is another conversion`);
    demand(this.shown.entries.length === lines.length, 'the receipt has other entries than its payload has lines');
    lines.forEach((line, place) => this.compareEntry(line, this.entries[place], this.shown.entries[place], place));
    return `sequences ${this.shown.sequence} to ${this.shown.sequence + lines.length - 1} hold the commitment`;
  }

  compareEntry(line, entry, shown, place) {
    const inOrder = shown.sequence === this.shown.sequence + place && shown.group === line.group;
    demand(inOrder, `entry ${place} of the receipt is out of order`);
    const itself = entry.agreement === this.shown.agreementId && entry.action === this.payload.action;
    demand(itself, `it was recorded as a ${entry.action} under ${entry.agreement}`);
    const amount = entry.amount === BigInt(line.amount) && entry.amount === this.minor(shown.amount);
    demand(amount, `the amount recorded is ${entry.amount} minor units, the receipt says ${shown.amount}`);
    demand(entry.verified === this.payload.verified, `verified is ${entry.verified} on the chain`);
  }

  async agreement() {
    const [log] = await this.logs(TOPICS.registered, this.shown.agreementId);
    demand(log, 'no such agreement was ever registered');
    this.terms = parseTerms(log);
    const id = agreementId(this.terms, this.chainId, this.contractAddress);
    demand(id === this.shown.agreementId, 'the terms logged under this id are not those that were signed');
    for (const name of ['merchant', 'publisher', 'hosted', 'currency']) {
      const shown = this.shown[name] ?? this.payload[name];
      demand(same(shown, this.terms[name]), `${name} is ${this.terms[name]} in the agreement, ${shown} in the receipt`);
    }
    this.payload.lines.forEach((line, place) => {
      const group = this.terms.groups.indexOf(line.group);
      demand(group === this.entries[place].group, `${line.group} was recorded as another commission group`);
    });
    return `version ${this.terms.version}, ${this.terms.hosted ? 'one box signed for both sides' : 'both sides signed'}`;
  }

  async checkTimes() {
    const created = seconds(this.payload.createdAt);
    const late = created > this.recordedAt + CLOCKS_MAY_DIFFER;
    demand(!late, `made on ${moment(created)}, after its block of ${moment(this.recordedAt)}`);
    if (this.payload.clickedAt === null) return `made on ${moment(created)}, no click`;
    const at = seconds(this.payload.clickedAt);
    demand(at <= created, `clicked on ${moment(at)}, after the conversion of ${moment(created)}`);
    const { windowDays } = this.terms;
    const inWindow = created <= at + windowDays * DAY;
    demand(inWindow, `clicked on ${moment(at)}, more than ${windowDays} days before the conversion`);
    for (const end of await this.logs(TOPICS.ended, this.shown.agreementId)) {
      const ended = await this.time(Number(end.blockNumber));
      demand(at <= ended + CLOCKS_MAY_DIFFER, 'clicked after the agreement had ended');
    }
    return `clicked on ${moment(at)}, made on ${moment(created)}`;
  }

  async commission() {
    const logged = this.recorded.commissions.slice(this.index, this.index + this.entries.length);
    const due = this.entries.map((entry) => this.pays(entry, entry.amount));
    demand(String(logged) === String(due), `the agreement pays ${due}, ${logged} was logged (minor units)`);
    const shown = this.shown.entries.map((entry) => this.minor(entry.commission));
    demand(String(shown) === String(due), `the agreement pays ${due}, the receipt says ${shown} (minor units)`);
    return `${due.reduce((sum, each) => sum + each, 0n)} minor units of ${this.terms.currency}`;
  }

  async amendments() {
    const amounts = this.entries.map((entry) => entry.amount);
    this.verifiedAt = this.entries.map((entry) => (entry.verified ? this.recordedAt : null));
    let made = 0;
    for (const log of await this.logs(TOPICS.amended, asTopic(this.merchant), this.recorded.batch)) {
      const change = parseAmended(log);
      const place = change.sequence - this.shown.sequence;
      if (place < 0 || place >= amounts.length) continue;
      const right = change.commission === this.pays(this.entries[place], change.amount);
      demand(right, `an amendment logged a commission of ${change.commission} minor units`);
      amounts[place] = change.amount;
      if (change.verified && this.verifiedAt[place] === null) this.verifiedAt[place] = await this.time(change.block);
      made += 1;
    }
    const sum = (values) => values.reduce((total, each) => total + each, 0n);
    const pays = sum(this.entries.map((entry, place) => this.pays(entry, amounts[place])));
    for (const [name, now] of [['amount', sum(amounts)], ['commission', pays]]) {
      const matches = this.minor(this.shown[name]) === now;
      demand(matches, `${name} is ${now} minor units on the chain now, the receipt says ${this.shown[name]}`);
    }
    const verified = this.verifiedAt.every((at) => at !== null);
    demand(this.shown.verified === verified, `the receipt says verified: ${this.shown.verified}, the chain does not`);
    return `${made} amendments, ${pays} minor units earned`;
  }

  async status() {
    const due = this.recordedAt + this.terms.validationDays * DAY;
    const lock = this.recordedAt + this.terms.lockDays * DAY;
    const had = await this.history(due, lock);
    const [since, now] = had[had.length - 1];
    for (let place = 0; place < this.entries.length; place++) {
      const data = statusCall(this.merchant, this.recorded.batch, this.shown.sequence + place);
      const answer = fromHex(await this.rpc('eth_call', { to: this.contractAddress, data }, this.head));
      const said = STATUSES[Number(toNumber(answer.slice(0, 32)))];
      demand(said === now, `the contract says ${said}, its logs and dates make it ${now}`);
    }
    const was = had.map(([, status]) => status);
    demand(was.includes(this.shown.status), `the receipt says ${this.shown.status}, it was ${was.join(' then ')}`);
    const older = now === this.shown.status ? '' : ` (the receipt is older and says ${this.shown.status})`;
    return `${now} since ${moment(since)}, final from ${moment(lock)}${older}`;
  }

  /** [since, status], oldest first, without repetitions, up to the chain's head. */
  async history(due, lock) {
    const steps = [[this.recordedAt, 'open']];
    for (const log of await this.logs(TOPICS.decided, asTopic(this.merchant))) {
      const decided = parseDecided(log, this.recorded.batch, this.index);
      const at = decided.length ? await this.time(Number(log.blockNumber)) : lock;
      if (at < lock) steps.push(...decided.map((status) => [at, status]));
    }
    const [verifiedAt] = this.verifiedAt;
    for (const at of [verifiedAt, due, lock]) if (at !== null) steps.push([at, null]);
    const had = [];
    let decision = 'open';
    // Blocks may share a second: the sort keeps the chain's order among them.
    for (const [at, decided] of steps.sort((one, other) => one[0] - other[0])) {
      decision = decided ?? decision;
      const verified = verifiedAt !== null && verifiedAt <= at;
      const status = effectiveStatus(decision, verified, this.terms.silenceApprovesAll, due, lock, at);
      if (at <= this.now && status !== had.at(-1)?.[1]) had.push([at, status]);
    }
    return had;
  }
}

const CHECKS = [
  ['contract', 'contract'],
  ['commitment', 'commitment'],
  ['payload', 'payloadAgrees'],
  ['block', 'block'],
  ['inclusion', 'inclusion'],
  ['agreement', 'agreement'],
  ['times', 'checkTimes'],
  ['commission', 'commission'],
  ['amendments', 'amendments'],
  ['status', 'status'],
];

/** The checks in order as {name, ok, detail}, up to the first that fails. Throws Unreadable. */
export async function* verify(receipt, rpcUrl, codeHash) {
  let subject;
  try {
    subject = new Receipt(receipt, node(rpcUrl), codeHash);
  } catch (odd) {
    yield { name: 'receipt', ok: false, detail: `not a receipt: ${odd.message}` };
    return;
  }
  for (const [name, method] of CHECKS) {
    try {
      yield { name, ok: true, detail: await subject[method]() };
    } catch (problem) {
      if (problem instanceof Unreadable) throw problem;
      const detail = problem instanceof Mismatch ? problem.message : `the receipt cannot be read: ${problem.message}`;
      yield { name, ok: false, detail };
      return;
    }
  }
}
