// The tag: one function, mtag(action, callback, metadata, values), and one level-triggered `settle` that brings everything up to date.
import { box, debug } from './box.js';
import { asking, clickId, look, take } from './clicks.js';
import { config, loadConfig } from './config.js';
import { keepConsent, listen, permission, say } from './consent.js';
import { flush, hold, release } from './conversion.js';

const w = window;
const stub = w.mtag;
const landing = stub?.u || location.href;

/** Safe to call at any time, any number of times. */
const settle = ({ type } = {}) => {
  try {
    const leaving = type == 'pagehide';
    look(location.href);
    listen(settle);
    const may = permission();
    if (may != null) {
      keepConsent(may);
      if (may && config.consent) take(settle);
      if (!asking || leaving) release(may);
      if (may) flush(leaving);
    }
  } catch {}
};

const mtag = (action, back, metadata, values) => {
  try {
    action = ('' + action).replace(/s$/, '');
    if (action == 'consent') say(back === true || back == 'granted');
    else if (action == 'debug') debug();
    else if (action != 'click') hold(action, back, metadata, values);
    settle();
    if (action == 'click') back(!!clickId(), { clickId: clickId() });
  } catch {}
};

try {
  if (!stub?.box) {
    mtag.box = box;
    mtag.q = { push: (call) => mtag(...call) };
    w.mtag = mtag;
    w.Attrace ||= { action: mtag, init() {}, getRoots: () => [box] };
    look(landing);
    loadConfig(() => {
      look(landing);
      settle();
    });
    settle();
    for (let i = 0; i < stub?.q?.length; i++) mtag(...stub.q[i]);
    'pagehide pageshow popstate hashchange online'.replace(/\w+/g, (type) => addEventListener(type, settle));
    w.navigation?.addEventListener('currententrychange', settle);
    if (/mtag_debug=1/.test(landing)) debug();
  }
} catch {}
