// The network contract's bytes: batches, terms, logs. The other half of chalicelib/domain and chalicelib/adapters.

import { concat, fromHex, keccak256, toHex, toNumber, utf8, word } from './bytes.js';

export const STATUSES = ['open', 'approved', 'sale', 'rejected'];
export const ACTIONS = ['sale', 'lead'];
export const DAY = 86400;
export const NO_UPPER_END = 1n << 40n;
const AMOUNT = (1n << 40n) - 1n;
const MILLION = 1000000n;
const RULE = 'Rule(uint8 action,uint8 group,uint64 fromAmount,uint64 toAmount,bool fixedAmount,uint64 value)';
const AGREEMENT =
  'Agreement(address merchant,address publisher,string currency,uint16 windowDays,uint16 validationDays,' +
  'uint16 lockDays,bool silenceApprovesAll,bool hosted,uint32 version,string[] groups,Rule[] rules,' +
  'uint256 nonce,uint256 deadline)';
const TERMS =
  '(address,address,string,uint16,uint16,uint16,bool,bool,uint32,string[],' +
  '(uint8,uint8,uint64,uint64,bool,uint64)[],uint256,uint256)';

const topic = (signature) => toHex(keccak256(utf8(signature)));
const selector = (signature) => toHex(keccak256(utf8(signature)).slice(0, 4));

export const TOPICS = {
  recorded: topic('Recorded(address,bytes32,uint64,uint16,uint16,uint256[])'),
  registered: topic(`AgreementRegistered(bytes32,address,address,${TERMS})`),
  ended: topic('AgreementEnded(bytes32,address,address,uint64)'),
  amended: topic('Amended(address,bytes32,uint64,uint64,uint64,uint64,uint64,bool,uint8)'),
  decided: topic('Decided(address,address,bytes)'),
};
const RECORD = selector('record(address,bytes,bytes)').slice(2);
const SUPERSEDE = selector('supersede(address,bytes,bytes,bytes)').slice(2);
const STATUS_OF = selector('statusOf(address,bytes32,uint256)');
const AMENDMENT_OF = selector('amendmentOf(address,bytes32,uint256)');
const AGREEMENT_OF = selector('agreementOf(address,bytes32)');
const NEXT_AGREEMENT = selector('nextAgreement(address,address)');

export const asTopic = (address) => toHex(word(BigInt(address)));

/** Reads ABI words of `data` from a base; offsets inside are relative to it. */
const reader = (data, base = 0) => {
  const at = (index) => {
    const from = base + 32 * index;
    if (from + 32 > data.length) throw new Error('data ends too early');
    return data.slice(from, from + 32);
  };
  const number = (index) => toNumber(at(index));
  const inside = (index) => reader(data, base + Number(number(index)));
  const bytes = (index) => {
    const from = base + Number(number(index));
    const length = Number(toNumber(data.slice(from, from + 32)));
    if (from + 32 + length > data.length) throw new Error('data ends too early');
    return data.slice(from + 32, from + 32 + length);
  };
  return { at, number, inside, bytes, address: (index) => toHex(at(index).slice(12)), from: (index) => reader(data, base + 32 * index) };
};

export const parseRecorded = (log) => {
  const data = reader(fromHex(log.data));
  const count = Number(data.number(1));
  const list = data.inside(3);
  const commissions = [];
  for (let i = 0; i < count; i++) {
    commissions.push((list.number(1 + Math.floor(i / 6)) >> BigInt(40 * (i % 6))) & AMOUNT);
  }
  return { batch: log.topics[2], first: Number(data.number(0)), count, commissions };
};

export const parseAmended = (log) => {
  const data = reader(fromHex(log.data));
  const [sequence, , amount, , commission, verified] = [0, 1, 2, 3, 4, 5].map(data.number);
  return { sequence: Number(sequence), amount, commission, verified: verified === 1n };
};

/** The decisions of a log on one entry of one batch, in order. */
export const parseDecided = (log, batch, entry) => {
  const changes = reader(fromHex(log.data)).bytes(0);
  const words = reader(changes);
  const found = [];
  for (let at = 0; at < changes.length / 32; ) {
    const digest = toHex(words.at(at++));
    for (let more = true; more; ) {
      let runs = words.number(at++);
      more = runs >> 240n === 1n;
      for (runs &= (1n << 240n) - 1n; runs; runs >>= 48n) {
        const start = Number(runs & 65535n);
        const count = Number((runs >> 16n) & 65535n);
        if (digest === batch && start <= entry && entry < start + count) found.push(STATUSES[Number((runs >> 32n) & 3n)]);
      }
    }
  }
  return found;
};

export const parseTerms = (log) => {
  const data = reader(fromHex(log.data)).inside(0);
  const text = (part, index) => new TextDecoder().decode(part.bytes(index));
  const names = data.inside(9);
  const groups = Array.from({ length: Number(names.number(0)) }, (_, i) => text(names.from(1), i));
  const list = data.inside(10);
  const rules = Array.from({ length: Number(list.number(0)) }, (_, i) => {
    const rule = list.from(1 + 6 * i);
    const [action, group, from, to, fixed, value] = [0, 1, 2, 3, 4, 5].map(rule.number);
    return { action: ACTIONS[Number(action)], group: Number(group), from, to, fixed: fixed === 1n, value, words: [action, group, from, to, fixed, value] };
  });
  return {
    merchant: data.address(0),
    publisher: data.address(1),
    currency: text(data, 2),
    windowDays: Number(data.number(3)),
    validationDays: Number(data.number(4)),
    lockDays: Number(data.number(5)),
    silenceApprovesAll: data.number(6) === 1n,
    hosted: data.number(7) === 1n,
    version: Number(data.number(8)),
    groups,
    rules,
    nonce: data.number(11),
    deadline: data.number(12),
  };
};

/** The EIP-712 digest both parties signed: the agreement's id. */
export const agreementId = (terms, chainId, contract) => {
  const text = (value) => keccak256(utf8(value));
  const domain = keccak256(
    concat(
      text('EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)'),
      text('Affiliate Network'),
      text('1'),
      word(chainId),
      word(BigInt(contract)),
    ),
  );
  const rules = terms.rules.map((rule) => keccak256(concat(text(RULE), ...rule.words.map(word))));
  const struct = keccak256(
    concat(
      text(AGREEMENT + RULE),
      word(BigInt(terms.merchant)),
      word(BigInt(terms.publisher)),
      text(terms.currency),
      ...[terms.windowDays, terms.validationDays, terms.lockDays].map(word),
      ...[terms.silenceApprovesAll, terms.hosted].map((flag) => word(flag ? 1 : 0)),
      word(terms.version),
      keccak256(concat(...terms.groups.map(text))),
      keccak256(concat(...rules)),
      word(terms.nonce),
      word(terms.deadline),
    ),
  );
  return toHex(keccak256(concat(utf8('\x19\x01'), domain, struct)));
};

/** Commission in minor units, rounded half up. */
export const commission = (terms, action, group, amount) => {
  const rule = terms.rules.find((r) => r.action === action && r.group === group && r.from <= amount && amount < r.to);
  if (!rule) return 0n;
  return rule.fixed ? rule.value : (amount * rule.value + MILLION / 2n) / MILLION;
};

/** The entries of the batch with this digest in a transaction's input, null when it does not show them. */
export const findBatch = (input, batch) => {
  const text = input.slice(2);
  for (const [name, body] of [[RECORD, 1], [SUPERSEDE, 2]]) {
    for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1)) {
      if (at % 2) continue;
      try {
        const call = reader(fromHex(text.slice(at + 8)));
        const [packed, commitments] = [call.bytes(body), call.bytes(body + 1)];
        if (toHex(keccak256(concat(keccak256(packed), keccak256(commitments)))) === batch) return unpack(packed, commitments);
      } catch {
        // Four bytes that look like the call and are not: look on.
      }
    }
  }
  return null;
};

const unpack = (body, commitments) => {
  const words = reader(body);
  const entries = [];
  let agreement = '';
  for (let at = 0; at < body.length / 32; ) {
    const head = words.number(at++);
    const flags = Number(head >> 248n);
    const key = Number((head >> 240n) & 255n);
    const count = Number((head >> 224n) & 65535n);
    if (!(flags & 2)) agreement = toHex(words.at(at++));
    let [amounts, left] = [head & ((1n << 200n) - 1n), 5];
    for (let i = 0; i < count; i++, left--) {
      if (!left) [amounts, left] = [words.number(at++), 6];
      const place = entries.length * 20;
      entries.push({
        agreement,
        action: ACTIONS[key >> 6],
        group: key & 63,
        verified: (flags & 1) === 1,
        amount: amounts & AMOUNT,
        commitment: toHex(commitments.slice(place, place + 20)),
      });
      amounts >>= 40n;
    }
  }
  return entries;
};

const call = (view, ...words) => view + words.map((value) => toHex(word(BigInt(value))).slice(2)).join('');

export const statusCall = (merchant, batch, sequence) => call(STATUS_OF, merchant, batch, sequence);
/** Answers: amended (0 or 1), the amount it has now. */
export const amendmentCall = (merchant, batch, entry) => call(AMENDMENT_OF, merchant, batch, entry);
/** Answers: registered (0 or 1). */
export const agreementCall = (merchant, agreement) => call(AGREEMENT_OF, merchant, agreement);
/** Answers: the pair's next nonce, the next version. */
export const nextAgreementCall = (merchant, publisher) => call(NEXT_AGREEMENT, merchant, publisher);

/** The status at a moment, as the contract derives it. */
export const effectiveStatus = (decision, verified, silenceApprovesAll, due, lock, at) => {
  let status = decision;
  if (status === 'open' && (verified || silenceApprovesAll) && at >= due) status = 'approved';
  if (at >= lock) return status === 'approved' ? 'sale' : 'rejected';
  return status;
};
