// The public integration config: what differs between merchants. The browser's HTTP cache keeps it.
import { request } from './request.js';

/** Until `consent` is known, nothing may be assumed about it. */
export let config = { clickParameters: ['clickId'], viaParameter: 'via' };

export const loadConfig = (then) =>
  request('/v1/config', null, (_, found) => {
    if (found?.consent) then((config = found));
    else setTimeout(loadConfig, 9e3, then);
  });
