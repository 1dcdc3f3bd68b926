// The click: picked up from the address, kept for the attribution window, last click wins.
import { config } from './config.js';
import { request } from './request.js';
import { cookie, put, store } from './store.js';
import { encode } from './text.js';

const CLICK = 'mtag.click';
let fresh;
let partner;
let question;

/** While a click is asked for, a conversion waits for it. */
export let asking;

// Kept as "expiry id older…": the older ones only show that an address in the browser's history is not a new click.
const kept = () => store[CLICK] || '';

export const storedClick = () => /\bmtag=([^;]+)/.exec(cookie())?.[1] || (kept().slice(0, 13) > Date.now() && kept().split(' ')[1]);

export const clickId = () => fresh || storedClick();

const keep = (id) => {
  const seconds = config.attributionWindowDays * 86400;
  const text = 'mtag=' + id + ';max-age=' + seconds;
  fresh = 0;
  if (config.cookieDomain) {
    cookie('mtag=;max-age=0');
    cookie(text + ';domain=' + config.cookieDomain);
  } else cookie(text);
  put(CLICK, Date.now() + seconds * 1e3 + ' ' + id + kept().slice(13, 200));
};

/** Remembers, in memory alone, what an address says. */
export const look = (href) => {
  let id;
  let via;
  let subId;
  href.replace(/([\w-]+)=([^&#;]+)/g, (_, name, value) => {
    if (encode(config.clickParameters).includes('"' + name + '"')) id = value;
    if (name == config.viaParameter) via = value;
    if (name == 'subId') subId = value;
  });
  if (id && !kept().includes(id)) fresh = id;
  if (via && via != partner) {
    partner = via;
    // A reload or a step back is not another click.
    if (!id && !(performance.navigation.type && storedClick())) question = encode({ via, url: href, referrer: document.referrer, subId });
  }
};

/** Only called where storing and sending are permitted. */
export const take = (then) => {
  if (fresh) keep(fresh);
  if (!question) return;
  asking = 1;
  request('/v1/beacon/click', question, (_, answer) => {
    asking = 0;
    if (answer?.clickId) keep(answer.clickId);
    then();
  });
  question = 0;
};
