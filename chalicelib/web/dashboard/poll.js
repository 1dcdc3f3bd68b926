// Asks again and again, while somebody looks: often after the person did something, seldom on a page left open.

const QUICK_MS = 4_000;
const CALM_MS = 12_000;
const CALM_AFTER_MS = 5 * 60_000;
const SLOWEST_MS = 60_000;
const SHARE = 3; // a box that takes long to answer is asked less often

/** `work()` is awaited each round; it may return the least milliseconds to wait, and may throw: then the rounds get slower. Returns {now, stop}. */
export function poll(work) {
  let timer = null;
  let failures = 0;
  let active = Date.now();
  let running = false;
  let again = false;
  let stopped = false;

  async function round() {
    clearTimeout(timer);
    if (stopped || document.visibilityState !== 'visible') return;
    if (running) {
      again = true;
      return;
    }
    running = true;
    let least = 0;
    const began = Date.now();
    try {
      least = (await work()) ?? 0;
      failures = 0;
    } catch (error) {
      failures += 1;
      least = (error.retryAfter ?? 0) * 1000;
    }
    running = false;
    if (again) {
      again = false;
      round();
      return;
    }
    least = Math.max(least, Math.min(CALM_MS, SHARE * (Date.now() - began)));
    const usual = Date.now() - active > CALM_AFTER_MS ? CALM_MS : QUICK_MS;
    if (!stopped) timer = setTimeout(round, Math.max(least, Math.min(SLOWEST_MS, usual * 2 ** failures)));
  }

  const looked = () => { active = Date.now(); };
  const returned = () => { if (document.visibilityState === 'visible') round(); };
  document.addEventListener('visibilitychange', returned);
  for (const kind of ['pointerdown', 'keydown']) document.addEventListener(kind, looked, { passive: true });
  round();
  return {
    now: round,
    stop() {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', returned);
      for (const kind of ['pointerdown', 'keydown']) document.removeEventListener(kind, looked);
    },
  };
}
