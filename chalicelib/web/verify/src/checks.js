// The checks of `box verify` (ops/receipt_checks.py), the same ones in the same order, against a node alone.

import { concat, fromHex, sha256, toHex, toNumber, utf8 } from './bytes.js';
import { statesOf } from './life.js';
import { minorUnits } from './money.js';
import {
  DAY,
  STATUSES,
  TOPICS,
  agreementCall,
  agreementId,
  amendmentCall,
  asTopic,
  commission,
  findBatch,
  nextAgreementCall,
  parseAmended,
  parseDecided,
  parseRecorded,
  parseTerms,
  statusCall,
} from './network.js';
import { Unreadable, logsOf, node, quantity } from './node.js';
import { faultOf } from './shape.js';
import { inForceAbout } from './versions.js';

const CLOCKS_MAY_DIFFER = 900; // seconds between a box's clock and the chain's
const CLICK_MAY_BE_LATE = 900; // seconds after the order's first report: docs/decisions/0037
const WHOLE_HISTORY = 'ask one that keeps the whole history';

class Mismatch extends Error {}

const demand = (holds, sentence) => {
  if (!holds) throw new Mismatch(sentence);
};
const same = (one, other) => String(one).toLowerCase() === String(other).toLowerCase();
const moment = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ') + 'Z';
const seconds = (text) => Math.floor(Date.parse(text) / 1000);
const sum = (values) => values.reduce((total, each) => total + each, 0n);

/** The one JSON form of a payload: keys sorted, no spaces. */
export const canonical = (value) => {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value && typeof value === 'object') {
    const keys = Object.keys(value).sort();
    if (!keys.every((key) => /^[\x00-\x7f]*$/.test(key))) throw new Error('a key beyond ASCII');
    return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(',')}}`;
  }
  // Half a character has no UTF-8 form, so two programs would hash it differently.
  if (typeof value === 'string' && /\p{Surrogate}/u.test(value)) throw new Error('a text that is no Unicode');
  if (typeof value === 'number' && !Number.isSafeInteger(value)) throw new Error('a number that is no integer');
  return JSON.stringify(value);
};

/** The checks of a receipt that has no fault (shape.js); each returns what it found or throws. */
class Receipt {
  constructor(receipt, rpc, codeHash) {
    Object.assign(this, { shown: receipt, payload: receipt.payload, rpc, codeHash, times: new Map() });
    this.contractAddress = receipt.contract.toLowerCase();
    this.merchant = receipt.merchant.toLowerCase();
  }

  async time(block) {
    if (!this.times.has(block)) this.times.set(block, quantity((await this.blockOf('0x' + block.toString(16))).timestamp, 'eth_getBlockByNumber'));
    return this.times.get(block);
  }

  async blockOf(name) {
    const found = await this.rpc('eth_getBlockByNumber', name, false);
    if (!found) throw new Unreadable(`the node has no block ${name === 'latest' ? name : Number(name)}`);
    return found;
  }

  /** A reorganisation took the head away meanwhile: then the answers are of two chains, and say nothing about anybody. */
  async standsStill() {
    if (this.head && (await this.blockOf(this.head)).hash !== this.headHash) {
      throw new Unreadable(`the chain was reorganised at block ${Number(this.head)} while it was read: ask again`);
    }
  }

  logs(...topics) {
    return logsOf(this.rpc, this.contractAddress, topics, 0, Number(this.head));
  }

  /** One of the words that a view of the contract answers. */
  async view(data, place) {
    const answer = fromHex(await this.rpc('eth_call', { to: this.contractAddress, data }, this.head));
    return toNumber(answer.slice(32 * place, 32 * place + 32));
  }

  minor(text) {
    return minorUnits(text, this.payload.currency);
  }

  pays(entry, amount) {
    return commission(this.terms, entry.action, entry.group, amount);
  }

  async contract() {
    this.chainId = quantity(await this.rpc('eth_chainId'), 'eth_chainId');
    demand(this.chainId === this.shown.chainId, `the node is on chain ${this.chainId}, the receipt is of ${this.shown.chainId}`);
    const newest = await this.blockOf('latest');
    this.now = quantity(newest.timestamp, 'eth_getBlockByNumber');
    [this.head, this.headHash] = [newest.number, newest.hash];
    quantity(this.head, 'eth_getBlockByNumber');
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
      const differs = this.payload[name] !== this.shown[name];
      demand(!differs, `${name} is ${this.payload[name]} in the payload and ${this.shown[name]} beside it`);
    }
    demand(same(this.payload.merchant, this.merchant), `the payload is of merchant ${this.payload.merchant}`);
    return 'the payload says what the receipt says';
  }

  async block() {
    this.mined = await this.rpc('eth_getTransactionReceipt', this.shown.transaction);
    if (!this.mined) await this.checkForgotten();
    demand(this.mined, `the chain has no transaction ${this.shown.transaction} up to the node's newest block, ${Number(this.head)}`);
    const [number, hash] = [Number(this.mined.blockNumber), this.mined.blockHash];
    demand(number === this.shown.blockNumber, `blockNumber is ${number} on the chain, ${this.shown.blockNumber} in the receipt`);
    demand(hash === this.shown.blockHash, `blockHash is ${hash} on the chain, ${this.shown.blockHash} in the receipt`);
    // A network without finality is taken at its word.
    const last = await this.rpc('eth_getBlockByNumber', 'finalized', false).catch(() => null);
    const isFinal = !last || Number(last.number) >= number;
    demand(isFinal || !this.shown.final, 'the receipt says final, the chain does not yet');
    this.recordedAt = await this.time(number);
    return `block ${number} of ${moment(this.recordedAt)}${isFinal ? '' : ', not final yet'}`;
  }

  /** A node that holds the transaction in that block and has forgotten what came of it says nothing. */
  async checkForgotten() {
    const { blockNumber, transaction } = this.shown;
    if (blockNumber > Number(this.head)) return;
    const { transactions } = await this.blockOf('0x' + blockNumber.toString(16));
    if (transactions.includes(transaction)) throw new Unreadable(`the node holds transaction ${transaction} and not its receipt: ${WHOLE_HISTORY}`);
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
    if (!sent) throw new Unreadable(`the node shows what transaction ${this.shown.transaction} did and not what it says: ${WHOLE_HISTORY}`);
    const entries = findBatch(sent.input, this.recorded.batch);
    demand(entries, 'the transaction does not show the batch whose hash it logged');
    this.index = this.shown.sequence - this.recorded.first;
    const { lines } = this.payload;
    this.entries = this.index < 0 ? [] : entries.slice(this.index, this.index + lines.length);
    const isOurs = this.entries.length === lines.length && this.entries.every((e) => e.commitment === this.shown.commitment);
    demand(isOurs, `sequence ${this.shown.sequence} is another conversion`);
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
    if (!log && (await this.view(agreementCall(this.merchant, this.shown.agreementId), 0))) {
      throw new Unreadable(`the contract knows this agreement, the node has no log of it: ${WHOLE_HISTORY}`);
    }
    demand(log, 'no such agreement was ever registered');
    this.terms = parseTerms(log);
    const id = agreementId(this.terms, this.chainId, this.contractAddress);
    demand(id === this.shown.agreementId, 'the terms logged under this id are not those that were signed');
    for (const name of ['merchant', 'publisher', 'hosted', 'currency']) {
      const shown = this.shown[name];
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
    if (this.payload.clickedAt === null) {
      await this.checkVersion(created, 'made', false);
      return `made on ${moment(created)}, no click`;
    }
    const at = seconds(this.payload.clickedAt);
    demand(at <= created + CLICK_MAY_BE_LATE, `clicked on ${moment(at)}, after the conversion of ${moment(created)}`);
    const { windowDays } = this.terms;
    const inWindow = created <= at + windowDays * DAY;
    demand(inWindow, `clicked on ${moment(at)}, more than ${windowDays} days before the conversion`);
    await this.checkVersion(at, 'clicked', true);
    return `clicked on ${moment(at)}, made on ${moment(created)}`;
  }

  /** The terms are those that were in force at the click; without one (a voucher), at the conversion. */
  async checkVersion(at, what, isClick) {
    const about = inForceAbout(await this.versions(), at, CLOCKS_MAY_DIFFER).filter((version) => version !== null);
    const isOne = about.some(({ agreement }) => agreement === this.shown.agreementId);
    if (isOne || !(about.length || isClick)) return;
    const named = `what it was paid under is version ${this.terms.version}`;
    demand(about.length, `${what} on ${moment(at)}, when no agreement was in force; ${named}`);
    const newest = Math.max(...about.map(({ number }) => number));
    demand(false, `${what} on ${moment(at)}, when version ${newest} was in force; ${named}`);
  }

  /** All versions of the pair's terms, oldest first. */
  async versions() {
    const [merchant, publisher] = [this.terms.merchant, this.terms.publisher].map(asTopic);
    const ended = new Map();
    for (const log of await this.logs(TOPICS.ended, null, merchant)) ended.set(log.topics[1], await this.time(Number(log.blockNumber)));
    const found = [];
    for (const log of await this.logs(TOPICS.registered, null, merchant, publisher)) {
      const [agreement, from] = [log.topics[1], await this.time(Number(log.blockNumber))];
      found.push({ number: found.length + 1, agreement, from, to: ended.get(agreement) ?? null });
    }
    const counted = Number(await this.view(nextAgreementCall(this.terms.merchant, this.terms.publisher), 1)) - 1;
    if (found.length !== counted) {
      throw new Unreadable(`the node shows ${found.length} agreements of these two, the contract counts ${counted}: ${WHOLE_HISTORY}`);
    }
    return found;
  }

  async commission() {
    const logged = this.recorded.commissions.slice(this.index, this.index + this.entries.length);
    const due = this.entries.map((entry) => this.pays(entry, entry.amount));
    demand(String(logged) === String(due), `the agreement pays ${due}, ${logged} was logged (minor units)`);
    const shown = this.shown.entries.map((entry) => this.minor(entry.commission));
    demand(String(shown) === String(due), `the agreement pays ${due}, the receipt says ${shown} (minor units)`);
    return `${sum(due)} minor units of ${this.terms.currency}`;
  }

  /** What later transactions made of the amounts. The receipt may be older than the chain: it shows what the conversion once was. */
  async amendments() {
    const amended = await this.amended();
    await this.compareWithState(amended);
    const { silenceApprovesAll, validationDays, lockDays } = this.terms;
    const [due, lock] = [validationDays, lockDays].map((days) => this.recordedAt + days * DAY);
    this.dates = { recordedAt: this.recordedAt, due, lock, silenceApprovesAll };
    this.amendedIn = amended;
    this.states = this.statesOf(this.entries, [...amended, ...(await this.decided(this.index))]);
    const now = this.had().at(-1);
    if (!this.states.some((state) => this.shows(state))) this.nameFigure(now);
    this.isOlder = !this.shows(now);
    const older = this.isOlder ? ` (the receipt is older and says ${this.shown.commission})` : '';
    return `${amended.length} amendments, commission ${now.commission} minor units${older}`;
  }

  statesOf(entries, changes) {
    return statesOf({ entries, ...this.dates }, (entry, amount) => this.pays(entry, amount), changes);
  }

  /** The published contract keeps what its logs say: where the two differ, the node left some out, and nobody cheated. */
  async compareWithState(amended) {
    for (let place = 0; place < this.entries.length; place++) {
      const made = amended.filter((change) => change.place === place).at(-1);
      const data = amendmentCall(this.merchant, this.recorded.batch, this.index + place);
      const kept = (await this.view(data, 0)) ? await this.view(data, 1) : undefined;
      if (kept !== made?.amount) {
        const amount = kept ?? this.entries[place].amount;
        throw new Unreadable(`the contract keeps ${amount} minor units, the node shows no log that says so: ${WHOLE_HISTORY}`);
      }
    }
  }

  async change(log, what) {
    const block = Number(log.blockNumber);
    return { at: await this.time(block), block, logIndex: Number(log.logIndex), transaction: log.transactionHash, ...what };
  }

  async amended() {
    const found = [];
    for (const log of await this.logs(TOPICS.amended, asTopic(this.merchant), this.recorded.batch)) {
      const { sequence, amount, commission: logged, verified } = parseAmended(log);
      const place = sequence - this.shown.sequence;
      if (place < 0 || place >= this.entries.length) continue;
      demand(logged === this.pays(this.entries[place], amount), `an amendment logged a commission of ${logged} minor units`);
      found.push(await this.change(log, { place, amount, verified }));
    }
    return found;
  }

  /** The decisions on one entry of the batch. */
  async decided(index) {
    this.decisions ??= await this.logs(TOPICS.decided, asTopic(this.merchant));
    const found = [];
    for (const log of this.decisions) {
      const decision = parseDecided(log, this.recorded.batch, index).at(-1);
      if (decision) found.push(await this.change(log, { decision }));
    }
    return found;
  }

  /** The states up to the chain's head. */
  had(states = this.states) {
    return states.filter(({ since }) => since <= this.now);
  }

  /** What logs and dates make of one of its entries now, which is what the contract says of it. */
  async statusOf(place) {
    const amended = this.amendedIn.filter((change) => change.place === place).map((change) => ({ ...change, place: 0 }));
    const states = this.statesOf([this.entries[place]], [...amended, ...(await this.decided(this.index + place))]);
    const { status } = this.had(states).at(-1);
    const kept = STATUSES[Number(await this.view(statusCall(this.merchant, this.recorded.batch, this.shown.sequence + place), 0))];
    if (kept !== status) {
      throw new Unreadable(`the contract says ${kept}, the logs that the node shows make it ${status}: ${WHOLE_HISTORY}`);
    }
    return status;
  }

  shows({ amount, commission: earned, verified }) {
    const figures = this.minor(this.shown.amount) === amount && this.minor(this.shown.commission) === earned;
    return figures && this.shown.verified === verified;
  }

  nameFigure(now) {
    for (const name of ['amount', 'commission']) {
      const matches = this.minor(this.shown[name]) === now[name];
      demand(matches, `${name} is ${now[name]} minor units on the chain now, the receipt says ${this.shown[name]}`);
    }
    demand(false, `the receipt says verified: ${this.shown.verified}, the chain does not`);
  }

  /** One that the conversion has had, with the figures it had then. */
  async status() {
    const had = this.had();
    const now = had.at(-1).status;
    for (let place = 0; place < this.entries.length; place++) {
      const status = await this.statusOf(place);
      const first = this.shown.sequence;
      demand(status === now, `decided apart: sequence ${first} is ${now}, sequence ${first + place} of the same order ${status}`);
    }
    // At due and lock the box's clock may be ahead of the newest block.
    const known = this.states.filter(({ since }) => since <= this.now + CLOCKS_MAY_DIFFER);
    const isKnown = known.some((state) => state.status === this.shown.status && this.shows(state));
    const was = had.map(({ status }) => status).filter((status, place, all) => status !== all[place - 1]);
    const withThese = was.includes(this.shown.status) ? ' with these figures' : '';
    demand(isKnown, `the receipt says ${this.shown.status}${withThese}, it was ${was.join(' then ')}`);
    // At a date the box's clock may also be ahead: that is no status it has had.
    this.isOlder ||= now !== this.shown.status && was.includes(this.shown.status);
    const nothing = now === 'rejected' ? ', earns nothing' : '';
    const before = had.findLastIndex(({ status }) => status !== now);
    const moved = now === this.shown.status ? '' : ` (the receipt says ${this.shown.status})`;
    return `${now} since ${moment(had[before + 1].since)}${nothing}, final from ${moment(this.states.at(-1).since)}${moved}`;
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

/** The checks in order as {name, ok, detail, older}, up to the first that fails. Throws Unreadable. */
export async function* verify(receipt, rpcUrl, codeHash) {
  const fault = faultOf(receipt);
  if (fault) {
    yield { name: 'receipt', ok: false, detail: fault };
    return;
  }
  const subject = new Receipt(receipt, node(rpcUrl), codeHash);
  for (const [name, method] of CHECKS) {
    try {
      const detail = await subject[method]();
      if (name === CHECKS.at(-1)[0]) await subject.standsStill();
      yield { name, ok: true, detail, older: Boolean(subject.isOlder) };
    } catch (problem) {
      if (problem instanceof Unreadable) throw problem;
      await subject.standsStill();
      const detail = problem instanceof Mismatch ? problem.message : `what it names cannot be read: ${problem.message}`;
      yield { name, ok: false, detail };
      return;
    }
  }
}
