// How numbers, money and times look: by the reader's language, in the merchant's currency and time zone.

const number = new Intl.NumberFormat();
const percent = new Intl.NumberFormat(undefined, { style: 'percent', maximumFractionDigits: 2 });
const balance = new Intl.NumberFormat(undefined, { minimumFractionDigits: 4, maximumFractionDigits: 4 });
const currencies = new Map();
let moment, exact, dayName;

/** `timeZone` from the box's config; one that this browser does not know is shown as UTC. */
export function useTimeZone(timeZone) {
  try {
    build(timeZone);
  } catch {
    build('UTC');
  }
}

function build(timeZone) {
  moment = new Intl.DateTimeFormat(undefined, { timeZone, day: '2-digit', month: 'short', hour: '2-digit', minute: '2-digit' });
  exact = new Intl.DateTimeFormat(undefined, { timeZone, dateStyle: 'medium', timeStyle: 'long' });
  dayName = new Intl.DateTimeFormat(undefined, { timeZone: 'UTC', day: 'numeric', month: 'short' });
}
build('UTC');

export const count = (value) => number.format(value);

/** "0.0312" -> 3.12 %; null (nothing to divide by) -> a dash. */
export const rate = (text) => (text === null ? '–' : percent.format(text));

/** "1234.50", "EUR" -> the sum as people write it. The decimal string goes to Intl as it is, never through a float. */
export function money(text, currency) {
  if (text === null || text === undefined) return '–';
  if (!currencies.has(currency)) currencies.set(currency, new Intl.NumberFormat(undefined, { style: 'currency', currency }));
  return currencies.get(currency).format(text);
}

/** A <time> for a table: short, in the merchant's time zone, with UTC in the title. */
export function time(rfc3339, { long = false } = {}) {
  const node = document.createElement('time');
  if (!rfc3339) return node;
  const at = new Date(rfc3339);
  node.dateTime = rfc3339;
  node.title = `${at.toISOString().replace('T', ' ').slice(0, 19)} UTC`;
  node.textContent = (long ? exact : moment).format(at);
  return node;
}

/** The day of a statistics row, "2026-11-23". Such days are UTC's. */
export const day = (text) => dayName.format(new Date(`${text}T00:00:00Z`));

/** 75 -> "1 min". */
export function ago(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

/** Wei (a decimal string) in whole coins, four decimals, cut off: a balance should not look larger than it is. */
export function coins(wei) {
  const tenThousandths = BigInt(wei) / 10n ** 14n;
  return balance.format(`${tenThousandths / 10000n}.${String(tenThousandths % 10000n).padStart(4, '0')}`);
}

/** The first and last UTC day of the last `days` days, as /v1/stats wants them. */
export function period(days, now = Date.now()) {
  const text = (at) => new Date(at).toISOString().slice(0, 10);
  return { from: text(now - (days - 1) * 86_400_000), to: text(now) };
}
