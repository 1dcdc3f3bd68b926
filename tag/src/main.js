// The tag: one function, mtag(action, callback, metadata, values), and one level-triggered `settle` that brings everything up to date.
import { landing, settle, settleBy, stub } from './later.js';
import { answered, loadConfig } from './config.js';
import { log } from './request.js';
import { permission, say, stopWaiting } from './consent.js';
import { box, debug } from './box.js';
import { clickId, goWithout, look, question, take } from './clicks.js';
import { hold, release, resend } from './conversion.js';

/** Safe to call at any time, any number of times, with whatever browsers and pages pass to it. */
settleBy(() => {
  try {
    look(location.href);
    const may = permission();
    if (may && answered) take();
    if (!question && may != null) release(may);
  } catch {}
});

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
    stopWaiting();
    goWithout();
    settle();
    resend(1);
  });
  addEventListener('popstate', settle);
  self.navigation?.addEventListener('currententrychange', settle);
  if (/mtag_debug/.test(landing)) mtag('debug');
}
