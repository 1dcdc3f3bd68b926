// Where the person is: period, filters and the chosen conversion, kept behind the # of the address, which is never sent to a server.

const DEFAULTS = { days: '1', status: '', publisherId: '', conversion: '' };
const DAYS = ['1', '7', '30'];

export function place() {
  const given = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  const read = { ...DEFAULTS, ...Object.fromEntries(Object.entries(given).filter(([name]) => name in DEFAULTS)) };
  return { ...read, days: DAYS.includes(read.days) ? read.days : '1' };
}

/** Goes there. With `step`, Back leads to where one was before. */
export function go(changes, { step = false } = {}) {
  const next = { ...place(), ...changes };
  const hash = new URLSearchParams(Object.entries(next).filter(([name, value]) => value && value !== DEFAULTS[name])).toString();
  const address = `${location.pathname}${hash ? `#${hash}` : ''}`;
  if (step) history.pushState(null, '', address);
  else history.replaceState(null, '', address);
}
