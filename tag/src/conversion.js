// Conversions: from a call to a beacon that is kept until the box has answered it. The event id makes every repeat harmless.
import { box } from './box.js';
import { clickId } from './clicks.js';
import { request } from './request.js';
import { put, store } from './store.js';
import { encode } from './text.js';

const PATH = '/v1/beacon/conversion';
const KEPT = 'mtag.p.';
const OWN = 'mtag.o';
const UNANSWERED = { code: 'unanswered' };

let held;
let wait = 1e3;

const send = (key, done) => {
  const body = store[key];
  request(
    PATH,
    (status, answer) => {
      // Neither 0 nor 429.
      if (status % 429 && status < 500) {
        delete store[key];
        done?.(answer, status < 300);
      } else {
        // The one way that a connect-src rule does not close.
        if (!status) new Image().src = box + PATH + '.gif?body=' + encodeURIComponent(body);
        done?.(UNANSWERED);
        // Twelve times at most on one page: all that is kept goes each time, and a timer's limit is near 2 ** 31.
        if (wait < 4e6) setTimeout(resend, (wait *= 2));
      }
    },
    body,
  );
};

/** Sends all that was not answered; by beacon when the page is being left. Sent twice is harmless, sent never is not. */
export const resend = (leaving) => {
  for (const key in store) if (!key.indexOf(KEPT)) leaving ? navigator.sendBeacon(box + PATH, store[key]) : send(key);
};

/** Lets go what was held, or refuses it, once either is known. */
export const release = (may) => (held = held?.(may));

/** Takes a call; what becomes of it is settled by `release`, now or later. */
export const hold = (action, back, meta, values) => {
  const done = (result, ok) => {
    try {
      back(!!ok, result);
    } catch {}
    back = 0;
  };
  const metadata = {};
  if (action < 's' && !meta?.items?.[0]) values ??= 0;
  const top = { action, values: typeof values != 'object' ? [values] : values, metadata };
  if (typeof meta != 'object') meta = { orderId: meta };
  for (const key in meta) (/^(voucher|currency|items|customerStatus|signature|isTest)$/.test(key) ? top : metadata)[key] = meta[key];
  setTimeout(done, 5e3, UNANSWERED);
  // What cannot be written must fail now, in this call alone.
  encode(top);
  const before = held;
  held = (may) => {
    before?.(may);
    if (!may) return done({ code: 'no_consent' });
    // Without a click, two visitors' equal calls would look like one reloaded page: something of this browser's own keeps them apart.
    put(OWN, store[OWN] || Math.random());
    // 63 bits in decimal. Not a secret: the same for the same call of the same click, and another one for another.
    let hash = 1n;
    top.clickId = clickId();
    for (const letter of (top.clickId || store[OWN]) + encode(top)) hash = (hash * 65599n + BigInt(letter.charCodeAt())) % 10n ** 19n;
    top.eventId = hash;
    put(KEPT + hash, encode(top));
    send(KEPT + hash, done);
  };
};
