// Conversions: from a call to a beacon that is kept until the box has answered it. The event id makes every repeat harmless.
import { box } from './box.js';
import { clickId } from './clicks.js';
import { request } from './request.js';
import { put, store } from './store.js';
import { digest, encode, isArray } from './text.js';

const PATH = '/v1/beacon/conversion';
const KEPT = 'mtag.p.';
const OWN = 'mtag.own';
const UNANSWERED = { code: 'unanswered' };

let held;
let wait = 1e3;

const send = (key, done) => {
  const body = store[key];
  request(
    PATH,
    (status, answer) => {
      if (status && status != 429 && status < 500) {
        delete store[key];
        done?.(status < 300, answer);
      } else {
        // The one way that a connect-src rule does not close.
        if (!status) new Image().src = box + PATH + '.gif?body=' + encodeURIComponent(body);
        done?.(false, UNANSWERED);
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

/** Lets go what was held, or refuses it. */
export const release = (may) => {
  held = held?.(may);
};

/** Takes a call; what becomes of it is settled by `release`, now or later. */
export const hold = (action, back, meta, values) => {
  const done = (ok, result) => {
    try {
      back(ok, result);
    } catch {}
    back = 0;
  };
  const metadata = {};
  const top = { action, values: isArray(values) ? values : [values ?? (action < 's' ? '0' : '')], metadata };
  if (meta && typeof meta != 'object') meta = { orderId: meta };
  for (const key in meta) (/^(voucher|currency|items|customerStatus|signature|isTest)$/.test(key) ? top : metadata)[key] = meta[key];
  setTimeout(done, 5e3, false, UNANSWERED);
  // What cannot be written must fail now, in this call alone.
  encode(top);
  const before = held;
  held = (may) => {
    before?.(may);
    if (!may) return done(false, { code: 'no_consent' });
    // Without a click, two visitors' equal calls would look like one reloaded page: something of this browser's own keeps them apart.
    put(OWN, store[OWN] || Math.random());
    top.clickId = clickId();
    top.eventId = digest((top.clickId || store[OWN]) + encode(top));
    put(KEPT + top.eventId, encode(top));
    send(KEPT + top.eventId, done);
  };
};
