// Facts in, findings out; no DOM, so that each sentence can be tested. A finding says what to do next.

const good = (text) => ({ good: true, text });
const bad = (text) => ({ good: false, text });

const REASONS = {
  no_click: 'the box got no click with it. This browser did not come through a publisher’s link, or the click was not kept.',
  unknown_click: 'the box does not know the click id. It is another box’s, or was changed.',
  outside_window: 'the click is older than the attribution window of the agreement.',
  unknown_voucher: 'no publisher has this voucher.',
};

const consent = ({ config, stored, privacySignal, tcf }) => {
  const said = stored?.['mtag.consent'];
  if (said === '1') return good('The visitor said yes (mtag consent).');
  if (said === '0') return bad('The visitor said no: nothing is stored or sent.');
  if (config.consent === 'off') return good('Consent is off in the config: the tag asks nobody.');
  if (privacySignal) return bad('This browser sends Global Privacy Control: nothing is stored or sent unless mtag("consent", "granted") is called.');
  if (tcf) return good('A consent manager (IAB TCF) is on this page; the tag follows purposes 1 and 7.');
  if (config.consent === 'required') return bad('Consent is required and not given: call mtag("consent", "granted") when the visitor agrees.');
  return good('Consent is granted by default.');
};

const click = ({ config, cookie, stored, landing }) => {
  const known = cookie || stored?.['mtag.click']?.split(' ')[1];
  if (known) return good(`Click ${known} is kept.`);
  const names = config.clickParameters.join(', ');
  const there = [...config.clickParameters, config.viaParameter].some((name) => new RegExp(`[?&#]${name}=`).test(landing));
  return there
    ? bad('The address has a click, but it is not kept: consent is missing, or storage is blocked.')
    : bad(`No click is kept: a sale now is not attributed, unless by a voucher. Come through a publisher’s link (${names} in the address).`);
};

const answer = ([path, body, status, got]) => {
  if (path.endsWith('/click')) {
    return got?.clickId ? good(`The direct link gave click ${got.clickId}.`) : bad(`The direct link gave no click: ${got?.detail || 'no answer'}`);
  }
  const { action } = JSON.parse(body);
  if (!status) return bad(`The ${action} got no readable answer: the box is down, this origin is not in the config, or the page's CSP forbids it. Kept, and sent again.`);
  if (status === 429 || status >= 500) return bad(`The ${action} was not taken now (${status}). Kept, and sent again.`);
  if (status >= 400) return bad(`The ${action} was refused for good: ${got.code} - ${got.detail}`);
  if (!got.attributed) return bad(`The ${action} is counted but not attributed (${got.reason}): ${REASONS[got.reason] || 'see the reason in the guide.'}`);
  return good(got.duplicate ? `The ${action} was known already: counted once.` : `The ${action} is counted and attributed.`);
};

export const diagnose = (facts) => {
  const { config, origin, stored, box, log } = facts;
  if (!config) return [bad(`The box at ${box} gives no config: is the script's address right, and may this page connect to it (connect-src)?`)];
  const findings = [];
  findings.push(
    !config.origins || config.origins.includes(origin)
      ? good(`${origin} is in the merchant's config.`)
      : bad(`${origin} is not in site.origins of the config: the box refuses what the tag sends from here, and gets at most the image in its place. Add it.`),
  );
  findings.push(consent(facts), click(facts));
  if (stored === null) findings.push(bad('Storage is blocked in this browser: a click lasts only as long as this page.'));
  const waiting = Object.keys(stored || {}).filter((key) => key.startsWith('mtag.p.')).length;
  if (waiting) findings.push(bad(`${waiting} conversion(s) wait to be sent again.`));
  return findings.concat(log.filter(([path]) => path.includes('/beacon/')).map(answer));
};
