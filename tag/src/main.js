// The tag: one function, mtag(action, callback, metadata, values), and one level-triggered `settle` that brings everything up to date.
import { box, debug } from './box.js';
import { clickId, look, question, take } from './clicks.js';
import { answered, loadConfig } from './config.js';
import { permission, say } from './consent.js';
import { hold, release, resend } from './conversion.js';
import { log } from './request.js';

const stub = self.mtag;
export const landing = stub?.u || location.href;

/** Safe to call at any time, any number of times, with whatever browsers and pages pass to it: only `resend` says that the page is being
 *  left. What comes later (the config, a click, a consent manager's word) calls it again, hence the circle of imports. */
export const settle = (next) => {
  try {
    look(location.href);
    const may = permission();
    if (may && answered) take();
    if ((!question || next == resend) && may != null) release(may);
  } catch {}
};

const mtag = (action, back, metadata, values) => {
  try {
    if (action == 'consent') say(back);
    else if (action == 'debug') debug();
    else if (action == 'click') {
      settle();
      back(!!clickId(), { clickId: clickId() });
    } else hold(action, back, metadata, values);
    settle();
  } catch {}
};

if (!stub?.log) {
  mtag.log = log;
  mtag.q = { push: (call) => mtag(...call) };
  self.mtag = mtag;
  self.Attrace ||= { action: mtag, init: settle, getRoots: () => [box] };
  look(landing);
  loadConfig();
  settle();
  resend();
  for (const call of stub?.q || []) mtag(...call);
  addEventListener('pagehide', () => {
    // Without its click rather than not at all.
    settle(resend);
    resend(1);
  });
  addEventListener('popstate', settle);
  self.navigation?.addEventListener('currententrychange', settle);
  if (/mtag_debug/.test(landing)) mtag('debug');
}
