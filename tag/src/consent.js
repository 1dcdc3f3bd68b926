// May we store and send? 1 yes, 0 no, undefined: not known yet, so do neither. docs/decisions/0021.
import { storedClick } from './clicks.js';
import { config } from './config.js';
import { cookie, put, store } from './store.js';

const SAID = 'mtag.consent';
let said;
let tcf;
let listening;

/** Takes true, 'true', 'granted' and 'given'; everything else is a no. */
export const say = (granted) => {
  said = /^[gt]/.test(granted) ? '1' : '0';
};

/** Says whether, and makes what is stored agree with it: a yes is kept; of a no only the no, and that only where silence would mean yes. */
export const permission = (then) => {
  // IAB TCF v2.2: purpose 1 (store on the device) and purpose 7 (measure advertising), or the law does not apply.
  if (!listening && self.__tcfapi) {
    listening = 1;
    __tcfapi('addEventListener', 2, ({ eventStatus, gdprApplies, purpose }) => {
      // cmpuishown, tcloaded, useractioncomplete: while the dialogue shows, nothing has been decided.
      if (eventStatus[0] == 'c') return;
      tcf = !gdprApplies || (purpose.consents[1] && purpose.consents[7]) || 0;
      then();
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
          tcf ?? (mode != 'required' && (mode || storedClick()) ? 1 : tcf);
  // Before the mode is known nothing is added, but what stands there is replaced: a no must not be lost with the page.
  const kept = may || mode == 'granted' || (!mode && store[SAID]);
  if (may === 0) {
    for (const key in store) if (!key.indexOf('mtag.')) delete store[key];
    cookie('mtag=;max-age=0');
  }
  if (said && kept) said = put(SAID, said);
  return may;
};
