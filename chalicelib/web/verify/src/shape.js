// What a receipt consists of, looked at before anything is compared: the list of ops/receipt_shape.py.

const text = (pattern) => (value) => typeof value === 'string' && pattern.test(value);
const integer = (least, most = Number.MAX_SAFE_INTEGER) => (value) => Number.isSafeInteger(value) && value >= least && value <= most;
const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
const list = (item) => (value) => Array.isArray(value) && value.length > 0 && value.every(item);
const object = (fields) => (value) => isObject(value) && Object.keys(fields).every((name) => Object.hasOwn(value, name) && fields[name][0](value[name]));
const orNull = (holds) => (value) => value === null || holds(value);

const RFC3339 = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?Z$/;
const isTime = (value) => {
  if (typeof value !== 'string' || !RFC3339.test(value)) return false;
  const at = new Date(value);
  // Some engines read the 30th of February as a day in March.
  return !Number.isNaN(at.getTime()) && at.toISOString().slice(0, 19) === value.slice(0, 19);
};

const isName = (value) => typeof value === 'string' && value !== '';
const NAME = [isName, 'a text'];
const HASH = [text(/^0x[0-9a-f]{64}$/), '0x and 64 hex digits, lower case'];
const ACCOUNT = [text(/^0x[0-9a-fA-F]{40}$/), 'an account, 0x and 40 hex digits'];
const CURRENCY = [text(/^[A-Z]{3}$/), 'three capital letters'];
const AMOUNT = [text(/^[0-9]{1,13}(\.[0-9]{1,4})?$/), 'a decimal string such as "12.50"'];
const FLAG = [(value) => typeof value === 'boolean', 'true or false'];
const SEQUENCE = [integer(1), 'an integer from 1'];
const COUNT = [integer(0), 'an integer from 0'];
const oneOf = (...names) => [(value) => names.includes(value), names.join(', ')];

const LINE = { group: NAME, amount: [integer(0, 2 ** 40 - 1), 'minor units'] };
const ENTRY = { group: NAME, amount: AMOUNT, sequence: SEQUENCE, commission: AMOUNT };
const PAYLOAD = {
  conversionId: NAME,
  merchant: ACCOUNT,
  action: oneOf('sale', 'lead'),
  currency: CURRENCY,
  lines: [list(object(LINE)), 'a list of {group, amount}, the amount in minor units'],
  agreementId: HASH,
  publisherId: NAME,
  clickId: [orNull(isName), 'a text or null'],
  clickedAt: [orNull(isTime), 'an RFC 3339 time in UTC or null'],
  createdAt: [isTime, 'an RFC 3339 time in UTC'],
  verified: FLAG,
  private: [text(/^[0-9a-f]{64}$/), '64 hex digits'],
};
const RECEIPT = {
  conversionId: NAME,
  payload: [isObject, 'an object'],
  salt: [text(/^([0-9a-fA-F]{2}){16,}$/), 'hex, 16 bytes or more'],
  commitment: [text(/^0x[0-9a-f]{40}$/), '0x and 40 hex digits, lower case'],
  agreementId: HASH,
  merchant: ACCOUNT,
  publisher: ACCOUNT,
  hosted: FLAG,
  currency: CURRENCY,
  entries: [list(object(ENTRY)), 'a list of {group, amount, sequence, commission}'],
  sequence: SEQUENCE,
  transaction: HASH,
  blockNumber: COUNT,
  blockHash: HASH,
  logIndex: COUNT,
  amount: AMOUNT,
  commission: AMOUNT,
  verified: FLAG,
  status: oneOf('open', 'approved', 'sale', 'rejected'),
  final: FLAG,
  chainId: SEQUENCE,
  contract: ACCOUNT,
};

const firstFault = (within, value, fields) => {
  for (const [name, [holds, wanted]] of Object.entries(fields)) {
    if (!Object.hasOwn(value, name)) return `${within}${name} is missing: ${wanted}`;
    if (!holds(value[name])) return `${within}${name} is not ${wanted}`;
  }
  return null;
};

/** The first field that is missing or of another kind, null where there is none. */
export const faultOf = (receipt) => {
  if (!isObject(receipt)) return 'a receipt is a JSON object';
  if (Object.hasOwn(receipt, 'state') && !Object.hasOwn(receipt, 'payload')) return `there is no receipt yet: the box says ${receipt.state}`;
  if (Object.hasOwn(receipt, 'clickId') && !Object.hasOwn(receipt, 'conversionId')) return "a click's proof, which box verify takes and this page does not";
  const fault = firstFault('', receipt, RECEIPT) ?? firstFault('payload.', receipt.payload, PAYLOAD);
  if (fault) return fault;
  return receipt.entries.length === receipt.payload.lines.length ? null : 'entries: one for each line of the payload';
};
