// May we store and send? 1 yes, 0 no, undefined: not known yet, so do neither. docs/decisions/0021.
import { storedClick } from './clicks.js';
import { settle } from './later.js';
import { config } from './config.js';
import { cookie, put, store } from './store.js';

const SAID = 'mtag.consent';
let said;
// What the consent manager says: yes (1 or true) or 0, null while it asks or has not answered, more where there is none that can.
const UNASKED = 2;
const MUTE = 3;
let tcf = UNASKED;

/** Takes true, 1, 'true', 'yes', 'granted' and 'given', in capitals too; everything else is a no. */
export const say = (granted) => {
  said = /^[gty1]/i.test(granted) ? '1' : '0';
};

/** The page is being left: a consent manager that has not answered is waited for no longer, and the merchant's mode decides. */
export const stopWaiting = () => {
  tcf ??= MUTE;
};

/** Says whether, and makes what is stored agree with it: a yes is kept; of a no only the no, and that only where silence would mean yes. */
export const permission = () => {
  // IAB TCF v2.2: purpose 1 (store on the device) and purpose 7 (measure advertising), or the law does not apply.
  if (tcf == UNASKED && self.__tcfapi) {
    tcf = null;
    __tcfapi('addEventListener', 2, (data) => {
      const consents = data?.purpose?.consents;
      // cmpuishown, tcloaded, useractioncomplete: while the dialogue shows, nothing has been decided.
      if (!/^c/.test(data?.eventStatus)) tcf = data ? data.gdprApplies == false || (consents?.[1] && consents[7]) || 0 : MUTE;
      settle();
    });
  }
  const mode = config.consent;
  // Read anew each time: it may have been said in another tab, or while this page stood in the back-forward cache.
  said ||= store[SAID];
  const may = said
    ? +said
    : mode == 'off'
      ? 1
      : navigator.globalPrivacyControl
        ? mode && 0
        : // A click is only ever stored where storing was permitted: it proves permission before the config has come.
          tcf > 1 ? (mode != 'required' && (mode || storedClick())) || null : tcf;
  // Before the mode is known nothing is added, but what stands there is replaced: a no must not be lost with the page.
  const kept = may || (mode != 'required' && (mode || store[SAID]));
  if (may == 0) {
    for (const key in store) if (!key.indexOf('mtag.')) delete store[key];
    cookie(';max-age=0');
  }
  if (said && kept) said = put(SAID, said);
  return may;
};
