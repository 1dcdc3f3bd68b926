// The click: picked up from the address, kept for the attribution window, last click wins.
import { config } from './config.js';
import { request } from './request.js';
import { cookie, put, store } from './store.js';
import { encode } from './text.js';

const CLICK = 'mtag.click';
let fresh;
let partner;

/** While a click is to be asked for (the question) or is being asked for (1), a conversion waits. */
export let question;

/** The page is being left: without its click rather than not at all. */
export const goWithout = () => {
  question = 0;
};

// Kept as "expiry id older…": the older ones only show that an address in the browser's history is not a new click.
const kept = () => store[CLICK] || '';

export const storedClick = () => (/; mtag=([^;]+)/.exec('; ' + cookie()) || (parseInt(kept()) > Date.now() && kept().split(' ')))[1];

export const clickId = () => fresh || storedClick();

const keep = (id) => {
  // Without the config this is NaN, and the cookie lasts for the session.
  const seconds = config.attributionWindowDays * 86400;
  fresh = 0;
  // One that the box set itself is left alone: Safari lets it live longer than what a script writes.
  storedClick() == id || cookie(id + ';max-age=' + seconds);
  put(CLICK, Date.now() + seconds * 1e3 + ' ' + id + kept().slice(13, 99));
};

/** Remembers, in memory alone, what an address says. */
export const look = (url) => {
  const found = {};
  url.replace(/([\w-]+)=([^&#;]+)/g, (_, name, value) => {
    found[encode(config.clickParameters).includes(encode(name)) ? '' : name] = value;
  });
  const id = found[''];
  const via = found[config.viaParameter];
  if (id) {
    if (!kept().includes(id)) fresh = id;
  } else if (via && via != partner) {
    partner = via;
    // A reload or a step back is not another click.
    if (!(performance.navigation.type && storedClick())) question = { via, url, subId: found.subId };
  }
};

/** Only called where storing and sending are permitted. */
export const take = () => {
  if (fresh) keep(fresh);
  if (question?.via) {
    request(
      '/v1/beacon/click',
      (_, answer) => {
        question = 0;
        if (answer?.clickId) keep(answer.clickId);
      },
      encode(question),
    );
    question = 1;
  }
};
