// The public integration config: what differs between merchants. The browser's HTTP cache keeps it.
import { src } from './box.js';
import { landing } from './later.js';
import { look } from './clicks.js';
import { request } from './request.js';

/** Until `consent` is known, nothing may be assumed about it. */
export let config = { clickParameters: ['clickId'], viaParameter: 'via' };
export let answered;

// The box says its consent mode beside the tag as well (Server-Timing: granted), so that a sale need not wait for the config.
try {
  config.consent = performance.getEntriesByName(src)[0].serverTiming[0].name;
} catch {}

export const loadConfig = () =>
  request('/v1/config', (_, found) => {
    if (found?.consent) config = found;
    answered = 1;
    look(landing);
  });
