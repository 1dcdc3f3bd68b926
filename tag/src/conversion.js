// Conversions: from a call to a beacon that is kept until the box has answered it. The event id makes every repeat harmless.
import { box } from './box.js';
import { clickId } from './clicks.js';
import { given } from './consent.js';
import { request } from './request.js';
import { put, store } from './store.js';
import { digest, encode, isArray } from './text.js';

const PATH = '/v1/beacon/conversion';
const KEPT = 'mtag.p.';

let held = [];
let busy = {};
const callbacks = {};
let wait = 1e3;

/** Takes a copy at once: what the page does to its objects afterwards changes nothing. */
export const hold = (action, back, meta, values) => {
  const top = { action, values: [], metadata: {} };
  const done = (ok, code, result) => {
    const call = back;
    back = 0;
    try {
      call(ok, result || { code });
    } catch {}
  };
  if (meta && typeof meta != 'object') meta = { orderId: meta };
  for (const key in meta)
    (/^(voucher|currency|items|customerStatus|signature|isTest|eventId|clickId)$/.test(key) ? top : top.metadata)[key] = meta[key];
  if (!isArray(values)) values = [values ?? 0];
  for (let i = 0; i < values.length; i++) top.values[i] = '' + values[i];
  held[held.length] = { top, done };
  setTimeout(done, 5e3, false, 'pending');
};

/** Lets what was held go, or refuses it. */
export const release = (may) => {
  for (let i = 0; i < held.length; i++) {
    const { top, done } = held[i];
    if (!may) done(false, 'no_consent');
    else {
      top.clickId ||= clickId();
      // Without a click, two visitors' equal calls would look like one reloaded page: something of this browser's own keeps them apart.
      if (!store['mtag.own']) put('mtag.own', '' + Math.random());
      const text = (top.clickId || store['mtag.own']) + encode(top);
      top.eventId ||= digest(text) + digest(1 + text);
      if (given()) top.consent = 'granted';
      callbacks[KEPT + top.eventId] = done;
      put(KEPT + top.eventId, encode(top));
    }
  }
  held = [];
};

const send = (key, body) => {
  const done = (ok, code, answer) => callbacks[key]?.(ok, code, answer);
  busy[key] = 1;
  request(PATH, body, (status, answer) => {
    busy[key] = 0;
    if (status && status != 429 && status < 500) {
      delete store[key];
      done(status < 300, 0, answer);
    } else {
      // Once, try the one way that a connect-src rule does not close.
      if (!status && wait < 2e3) new Image().src = box + PATH + '.gif?body=' + encodeURIComponent(body);
      done(false, 'offline');
      setTimeout(flush, (wait *= 2));
    }
  });
};

/** Sends what is not on its way already. When the page is being left, all of it: sent twice is harmless, sent never is not. */
export const flush = (leaving) => {
  for (const key in store)
    if (key.startsWith(KEPT)) {
      if (leaving) navigator.sendBeacon(box + PATH, store[key]);
      else if (!busy[key]) send(key, store[key]);
    }
  // A page restored from the back/forward cache has lost what was on its way.
  if (leaving) busy = {};
};
