// The box's own /v1 API, called with the key that this tab holds.

/** Where the box is, the stage's prefix included: this file lies at <box>/assets/. */
export const BOX = new URL('..', import.meta.url);

const KEPT_AS = 'merchant-box-key';
const SHAPE = /^box_[A-Za-z0-9]{32}$/;
const TIMEOUT_MS = 30_000;

export const key = {
  get: () => sessionStorage.getItem(KEPT_AS),
  set: (text) => sessionStorage.setItem(KEPT_AS, text),
  forget: () => sessionStorage.removeItem(KEPT_AS),
  looksRight: (text) => SHAPE.test(text),
};

/** What the box refused, as its problem+json says it; `code` is 'unreachable' when nothing answered. */
export class Problem extends Error {
  constructor(status, code, detail, retryAfter = null) {
    super(detail);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** call('GET', 'v1/stats', { query: { by: 'day' } }) -> the JSON of a success. Raises Problem. */
export async function call(method, path, { query = {}, body, bearer = key.get() } = {}) {
  const url = new URL(path, BOX);
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
  const headers = bearer ? { Authorization: `Bearer ${bearer}` } : {};
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let answer;
  try {
    answer = await fetch(url, {
      method, headers, cache: 'no-store', credentials: 'omit', signal: AbortSignal.timeout(TIMEOUT_MS),
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Problem(0, 'unreachable', 'The box does not answer. Check the connection; this page keeps trying.');
  }
  return read(answer, path === 'v1/status');
}

/** `even503`: /v1/status says what is wrong in the body of a 503. */
async function read(answer, even503) {
  const json = await answer.json().catch(() => null);
  if (answer.ok || (even503 && answer.status === 503 && json)) return json;
  const seconds = Number(answer.headers.get('Retry-After')) || null;
  throw new Problem(answer.status, json?.code ?? `http_${answer.status}`, json?.detail ?? `The box answered ${answer.status}.`, seconds);
}
