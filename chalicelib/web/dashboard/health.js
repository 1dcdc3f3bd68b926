// The strip at the top: whether what the box takes also reaches the network, and what to do when it does not.

import { byId, copyButton, say, write } from './element.js';
import { ago, coins, count } from './format.js';
import { PAUSED } from './words.js';

const STALE_SECONDS = 300;
const STUCK_SECONDS = 900;
let lastTitle = '';

/** `status` is the answer of /v1/status, `config` that of /v1/config. */
export function showHealth(status, config) {
  const { level, text, banner } = read(status, config);
  const chip = byId('health');
  chip.dataset.level = level;
  write(byId('health-text'), text);
  chip.title = status.network ? `Version ${status.version}. Signer ${config.signer}, balance ${coins(status.network.signerBalance)}; `
    + `block ${count(status.network.head)}, final ${count(status.network.final)}` : `Version ${status.version}`;
  showBanner(banner);
}

function read(status, config) {
  const network = status.network;
  if (status.status === 'down') {
    return { level: 'down', text: 'Not accepting', banner: ['The box cannot reach its tables.', 'It takes no clicks and no sales until it can; the tag keeps what it could not deliver.'] };
  }
  if (!network) return { level: 'unknown', text: 'Starting' };
  if (network.paused) {
    const [title, remedy] = PAUSED[network.paused] ?? [`Signing is paused: ${network.paused}.`, ''];
    return { level: 'down', text: 'Signing paused', banner: [title, remedy, config.signer] };
  }
  if (network.rpc !== 'ok') {
    return { level: 'down', text: 'No network node', banner: ['No network node answers.', 'Sales are still taken and stored, and are sent once a node answers. Check the RPC address.'] };
  }
  if (network.ageSeconds > STALE_SECONDS) {
    return { level: 'down', text: 'No word from the signer', banner: [`The signer last reported ${ago(network.ageSeconds)} ago.`, 'Sales are still taken and stored. See whether its schedule still runs.'] };
  }
  const stuck = network.oldestInFlight ? (Date.now() - Date.parse(network.oldestInFlight)) / 1000 : 0;
  if (stuck > STUCK_SECONDS) {
    return { level: 'down', text: 'Waiting for a block', banner: [`A transaction has been waiting for a block for ${ago(stuck)}.`, 'Sales are still taken and stored, and wait behind it. The network may be dearer than the fee that the config allows.'] };
  }
  const waiting = network.oldestUnsent ? `, oldest waits ${ago((Date.now() - Date.parse(network.oldestUnsent)) / 1000)}` : '';
  return { level: 'ok', text: `Signing · block ${count(network.head)}${waiting}` };
}

function showBanner(banner) {
  const [title = '', text = '', address = ''] = banner ?? [];
  byId('banner').hidden = !banner;
  write(byId('banner-title'), title);
  write(byId('banner-text'), text);
  const shown = byId('banner-address');
  shown.hidden = !address;
  if (address && !shown.dataset.address) shown.after(' ', copyButton(() => shown.dataset.address, 'Copy', 'address'));
  if (shown.nextElementSibling) shown.nextElementSibling.hidden = !address;
  shown.dataset.address = address;
  write(shown, address);
  if (title !== lastTitle) say(title || 'Signing again');
  lastTitle = title;
}
