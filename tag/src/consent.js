// May we store and send? 1 yes, 0 no, undefined: not known yet, so do neither. docs/decisions/0021.
import { storedClick } from './clicks.js';
import { config } from './config.js';
import { cookie, put, store } from './store.js';

const SAID = 'mtag.consent';
const MAY = 'mtag.may';
let said = store[SAID];
let tcf;
let listening;

export const permission = () => {
  const mode = config.consent;
  if (said) return +said;
  if (mode == 'off') return 1;
  if (navigator.globalPrivacyControl) return mode && 0;
  if (tcf != null || mode == 'required') return tcf;
  // Before the config has come: a click is only ever stored where storing was permitted, and the mark is an hour's memory of "granted".
  if (mode || storedClick() || Date.now() - store[MAY] < 36e5) return 1;
};

export const given = () => said > 0 || tcf;

export const say = (granted) => {
  said = granted ? '1' : '0';
};

/** IAB TCF v2.2: purpose 1 (store on the device) and purpose 7 (measure advertising), or the law does not apply. */
export const listen = (then) => {
  if (listening || !window.__tcfapi) return;
  listening = 1;
  __tcfapi('addEventListener', 2, ({ eventStatus, gdprApplies, purpose }) => {
    if (eventStatus == 'cmpuishown') return;
    tcf = gdprApplies === false || (purpose.consents[1] && purpose.consents[7]) ? 1 : 0;
    then();
  });
};

/** Keeps a yes; of a no only the no itself, and that only where silence would otherwise mean yes. */
export const keepConsent = (may) => {
  if (!may) {
    for (const key in store) if (/^mtag\./.test(key)) delete store[key];
    cookie('mtag=;max-age=0');
    cookie('mtag=;max-age=0;domain=' + config.cookieDomain);
  }
  const silence = config.consent == 'granted';
  if (said && (may || silence)) put(SAID, said);
  if (may && silence) put(MAY, Date.now());
};
