// The merchant box from Node 18 or newer: one file, no dependencies. Copy it into your project.
//
//   const box = new MerchantBox('https://box.example', process.env.BOX_KEY);
//   await box.report({ action: 'sale', orderId: 'B-1', values: ['100.00'], currency: 'EUR', clickId });
//
// Every call is safe to repeat (an order is one conversion, however often it is reported), so network failures, unreadable
// answers, 429 and 5xx are tried again here until `patience` is used up. Everything else throws MerchantBoxError at once.
// The key is sent to the box and shown nowhere: not in errors, not when this object is logged.

import { createHmac, timingSafeEqual } from 'node:crypto';

const MAX_ANSWER_BYTES = 8 * 1024 * 1024; // the gateway allows 6 MB
const TOLERANCE_SECONDS = 300;
const MIN_PAGE_SECRET_BYTES = 24;

export class MerchantBoxError extends Error {
  /** `code` is stable and documented: the box's own, or box_unreachable, box_timeout, unreadable_answer,
   *  unexpected_redirect, http_<status>. `status` is 0 when no answer came; `retryAfter` in seconds or null. */
  constructor(code, detail, { status = 0, retryAfter = null, attempts = 1, cause } = {}) {
    super(`${code}: ${detail}`, { cause });
    this.name = 'MerchantBoxError';
    Object.assign(this, { code, detail, status, retryAfter, attempts });
  }
}

export class PostbackRefused extends Error {
  /** `code`: header_missing, header_malformed, timestamp_too_old, timestamp_too_new or signature_mismatch. Answer 401. */
  constructor(code) {
    super(`postback refused: ${code}`);
    this.name = 'PostbackRefused';
    this.code = code;
  }
}

export class MerchantBox {
  #url;
  #key;
  #timeout;
  #patience;
  #attempts;

  /** `timeout`: seconds for one attempt; `patience`: seconds for a whole call, waiting included; `attempts`: at most so many. */
  constructor(url, key, { timeout = 10, patience = 30, attempts = 4 } = {}) {
    this.#url = boxUrl(url);
    if (typeof key !== 'string' || !/^box_[\x21-\x7e]+$/.test(key)) throw new TypeError('the API key starts with box_');
    this.#key = key;
    [this.#timeout, this.#patience, this.#attempts] = [timeout, patience, attempts];
  }

  /** POST /v1/conversions -> {code: 202 | 200, conversionId, status, attributed, duplicate, …}; a conflict throws with status 409. */
  async report(conversion) {
    return this.#send('POST', '/v1/conversions', checked(conversion));
  }

  /** POST /v1/conversions/batch, up to 1,000 -> [{index, code, conversionId?, status?, duplicate?, error?}], in order. */
  async reportBatch(conversions) {
    return (await this.#send('POST', '/v1/conversions/batch', { conversions: conversions.map(checked) })).results;
  }

  /** POST /v1/validations, up to 1,000 of {conversionId | orderId + action, status?, amount?, lines?, reason?} -> a row each, in order. */
  async validate(validations) {
    return (await this.#send('POST', '/v1/validations', { validations })).results;
  }

  /** PATCH /v1/conversions/{id} with {status?, reason?, amount?} -> {code, …}: approve, reject, re-open, amend. */
  async change(conversionId, change) {
    return this.#send('PATCH', `/v1/conversions/${encodeURIComponent(conversionId)}`, change);
  }

  async #send(method, path, body) {
    const text = JSON.stringify(body);
    const deadline = Date.now() + this.#patience * 1000;
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#attempt(method, path, text, deadline - Date.now());
      if (outcome.answer) return outcome.answer;
      const wait = Math.max(outcome.retryAfter ?? 0, 0.25 * 2 ** (attempt - 1) * (0.5 + Math.random() / 2)) * 1000;
      if (!outcome.again || attempt >= this.#attempts || Date.now() + wait >= deadline) {
        throw new MerchantBoxError(outcome.code, outcome.detail, { ...outcome, attempts: attempt });
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  async #attempt(method, path, text, millisecondsLeft) {
    const signal = AbortSignal.timeout(Math.max(1, Math.min(this.#timeout * 1000, millisecondsLeft)));
    try {
      const response = await fetch(this.#url + path, {
        method,
        body: text,
        signal,
        redirect: 'manual', // the key goes to the box and nowhere else
        headers: {
          authorization: `Bearer ${this.#key}`,
          'content-type': 'application/json',
          accept: 'application/json',
          'user-agent': 'merchant-box-node/1',
        },
      });
      return understood(response, await bounded(response));
    } catch (cause) {
      const code = signal.aborted ? 'box_timeout' : 'box_unreachable';
      return { again: true, code, detail: `no answer from the box (${cause.cause?.code ?? cause.name})`, cause };
    }
  }
}

/** The `signature` for mtag: 64 hex digits over exactly these strings. Values are decimal strings: ['100.00']. */
export function signPage(secret, orderId, action, values, currency) {
  if (Buffer.byteLength(secret) < MIN_PAGE_SECRET_BYTES) {
    throw new TypeError(`a page secret has at least ${MIN_PAGE_SECRET_BYTES} bytes`);
  }
  const message = JSON.stringify([orderId, action, decimals(values), currency]);
  // JSON.stringify writes half a surrogate pair as an escape: the one case where it differs from the other languages.
  if (![orderId, action, currency, ...values].every(isUnicode)) throw new TypeError('text to be signed must be Unicode');
  return createHmac('sha256', secret).update(message).digest('hex');
}

/** Returns when one of `secrets` (whsec_…) signed `payload` within 300 s of now; otherwise throws PostbackRefused.
 *  `payload`: the raw body (Buffer or string), or the query string without its `?` for a postback sent as GET.
 *  `headers`: a Headers object or what node:http gives. `now`: Unix seconds. */
export function verifyPostback({ secrets, headers, payload, now = Math.floor(Date.now() / 1000) }) {
  const entries = headers instanceof Headers ? [...headers] : Object.entries(headers);
  const given = Object.fromEntries(entries.map(([name, value]) => [name.toLowerCase(), value]));
  const [id, timestamp, signatures] = ['id', 'timestamp', 'signature'].map((name) => given[`webhook-${name}`] ?? '');
  if (!id || !timestamp || !signatures) throw new PostbackRefused('header_missing');
  // An id with a dot could borrow from the time or the body: the signed content joins the three with dots.
  const wellFormed =
    /^[A-Za-z0-9_-]{1,128}$/.test(id) && /^[1-9][0-9]{0,11}$/.test(timestamp) && /^[!-~]+( [!-~]+){0,15}$/.test(signatures);
  if (!wellFormed) throw new PostbackRefused('header_malformed');
  if (now - Number(timestamp) > TOLERANCE_SECONDS) throw new PostbackRefused('timestamp_too_old');
  if (Number(timestamp) - now > TOLERANCE_SECONDS) throw new PostbackRefused('timestamp_too_new');
  let matched = false;
  for (const secret of secrets) {
    const digest = createHmac('sha256', webhookKey(secret)).update(`${id}.${timestamp}.`).update(payload).digest('base64');
    for (const signature of signatures.split(' ')) matched = sameText(signature, `v1,${digest}`) || matched;
  }
  if (!matched) throw new PostbackRefused('signature_mismatch');
}

function understood(response, body) {
  const { status } = response;
  const document = parsed(body);
  if (status >= 200 && status < 300) {
    if (document) return { answer: { ...document, code: status } };
    return { again: true, status, code: 'unreadable_answer', detail: 'the answer is not a JSON object' };
  }
  if (status >= 300 && status < 400) {
    return { status, code: 'unexpected_redirect', detail: "a box does not redirect its API; check the box's address" };
  }
  return {
    again: status === 429 || status >= 500,
    status,
    code: typeof document?.code === 'string' ? document.code : `http_${status}`,
    detail: typeof document?.detail === 'string' ? document.detail : 'no further explanation',
    retryAfter: seconds(response.headers.get('retry-after')),
  };
}

async function bounded(response) {
  const chunks = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) return ''; // unreadable
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parsed(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

function seconds(retryAfter) {
  if (!retryAfter) return null;
  if (/^[0-9]{1,9}$/.test(retryAfter)) return Number(retryAfter);
  const at = Date.parse(retryAfter);
  return Number.isNaN(at) ? null : Math.max(0, (at - Date.now()) / 1000);
}

function boxUrl(text) {
  const url = new URL(text);
  const loopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback)) {
    throw new TypeError("the box's address starts with https:// (http:// for this machine alone)");
  }
  if (url.username || url.password || url.search || url.hash) throw new TypeError("the box's address is scheme, host and path");
  return url.href.replace(/\/+$/, '');
}

function checked(conversion) {
  // Without an order id a repeated report would be a second conversion.
  if (typeof conversion.orderId !== 'string' || !conversion.orderId) throw new TypeError('orderId is missing');
  if (conversion.values !== undefined) decimals(conversion.values);
  return conversion;
}

function decimals(values) {
  if (!Array.isArray(values) || !values.every((value) => typeof value === 'string')) {
    throw new TypeError("values is a list of decimal strings, such as ['100.00']");
  }
  return values;
}

function isUnicode(text) {
  return !/[\uD800-\uDFFF]/u.test(text); // with /u a whole pair is one character and does not match
}

function webhookKey(secret) {
  const text = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret)?.[1] ?? '';
  const key = Buffer.from(text, 'base64');
  if (key.length < 24 || key.length > 64 || text.length % 4) throw new TypeError('a secret is whsec_ and the base64 of 24 to 64 bytes');
  return key;
}

function sameText(one, other) {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
