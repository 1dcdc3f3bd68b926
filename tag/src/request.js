import { box } from './box.js';
import { settle } from './later.js';

/** What was asked and answered, for the debug panel alone: [path, body, status, answer]. */
export const log = [];

const get = self.fetch;

/** One cross-origin request without a preflight that outlives the page; back(status, JSON), or back(0) when nothing readable came. */
export const request = async (path, back, body, status, answer) => {
  try {
    const response = await get(box + path, body && { method: 'POST', body, keepalive: 1 });
    answer = await response.json();
    status = response.status;
  } catch {}
  log[log.length] = [path, body, status, answer];
  back(status, answer);
  // Not at once: a fetch that throws ends up here in the middle of what asked.
  setTimeout(settle);
};
