// The tag: one function, mtag(action, callback, metadata, values), and one level-triggered `settle` that brings everything up to date.
import { box, debug } from './box.js';
import { clickId, look, question, take } from './clicks.js';
import { answered, loadConfig } from './config.js';
import { permission, say } from './consent.js';
import { hold, release, resend } from './conversion.js';
import { log } from './request.js';

const stub = self.mtag;
const landing = stub?.u || location.href;

/** Safe to call at any time, any number of times. */
const settle = (leaving) => {
  try {
    look(location.href);
    const may = permission(settle);
    if (may != null) {
      if (may && answered) take(settle);
      if (!question || leaving) release(may);
    }
  } catch {}
};

const mtag = (action, back, metadata, values) => {
  try {
    if (action == 'consent') say(back);
    else if (action == 'debug') debug();
    else if (action != 'click') hold(action, back, metadata, values);
    settle();
    if (action == 'click') back(!!clickId(), { clickId: clickId() });
  } catch {}
};

if (!stub?.log) {
  mtag.log = log;
  mtag.q = { push: (call) => mtag(...call) };
  self.mtag = mtag;
  self.Attrace ||= { action: mtag, init: settle, getRoots: () => [box] };
  look(landing);
  loadConfig(() => {
    look(landing);
    settle();
  });
  settle();
  resend();
  for (const call of stub?.q || []) mtag(...call);
  addEventListener('pagehide', () => {
    settle(1);
    resend(1);
  });
  addEventListener('popstate', settle);
  self.navigation?.addEventListener('currententrychange', settle);
  if (/mtag_debug/.test(landing)) debug();
}
