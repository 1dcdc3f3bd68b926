// The chosen conversion: opened from the list or the address, kept fresh, decided on.

import { call } from './api.js';
import { actionsFor, refreshActions } from './decide.js';
import { showDetail, showLegend, showInstead } from './detail.js';
import { byId, el } from './element.js';
import * as list from './list.js';
import { go } from './place.js';

const ON_ITS_WAY = ['pending', 'sent', 'mined'];
let open = null; // {id, conversion, receipt, actions, saving}
let rights = { decide: false, explain: false };
let afterDecision = () => undefined;
let taken = 0; // decisions sent and answered so far: what was asked for before one is old news

/** `decide`: show the actions; `explain`: say why there are none. `decided()` follows each decision that the box took. */
export function allow({ decide, explain }, decided) {
  rights = { decide, explain };
  afterDecision = decided;
}

export const chosenId = () => open?.id ?? null;
export const isSaving = () => Boolean(open?.saving);
export const decisions = () => taken;

/** Whether something of it is still on its way to the network. */
export const isMoving = () => [open?.conversion?.network, open?.conversion?.network.change].some((at) => at && ON_ITS_WAY.includes(at.state));

/** On a narrow screen the detail covers the rest, which then must not take the focus. */
const NARROW = matchMedia('(max-width: 1200px)');
const shield = () => { document.querySelector('.column').inert = NARROW.matches && open !== null; };
NARROW.addEventListener('change', shield);

/** A person chose it. */
export function choose(id) {
  go({ conversion: id }, { step: true });
  show(id);
  byId('detail').querySelector('h2')?.focus({ preventScroll: true });
}

export function close() {
  const last = chosenId();
  go({ conversion: '' });
  show('');
  list.focusRow(last);
}

/** What the address names; '' for none. */
export function show(id) {
  list.choose(id || null);
  document.body.classList.toggle('has-detail', Boolean(id));
  if (open?.id === id) return;
  open = id ? { id, conversion: null, receipt: null, actions: null, saving: false } : null;
  shield();
  if (!open) {
    showLegend();
    return;
  }
  const known = list.held(id);
  if (known) draw(known, false);
  else showInstead('One moment', 'Asking the box for this conversion.', close);
  refresh().catch(() => undefined); // the poll says what is wrong
}

export async function refresh() {
  const mine = open;
  if (!mine || mine.saving) return;
  const before = taken;
  try {
    const conversion = await call('GET', `v1/conversions/${mine.id}`);
    if (conversion.network.sequence !== null && !mine.receipt?.final) mine.receipt = await call('GET', `v1/receipts/${mine.id}`);
    if (open === mine && before === taken) draw(conversion, false);
  } catch (error) {
    if (error.status !== 404) throw error;
    if (open === mine) showInstead('Not found', 'The box holds no conversion of that id, or this key may not see it.', close);
  }
}

function draw(conversion, saving) {
  open.saving = saving;
  open.conversion = conversion;
  if (rights.decide) {
    open.actions ??= actionsFor(conversion, decided);
    if (!saving) refreshActions(open.actions, conversion, decided);
  } else if (rights.explain) {
    open.actions ??= el('p', { class: 'quiet small' }, 'This key reads only. Log in with a server key to approve or reject.');
  }
  list.update(conversion, saving);
  showDetail(conversion, { receipt: open.receipt, actions: open.actions, close, saving });
}

/** A decision was sent (`saving`), or answered. Whoever went on to another conversion meanwhile is not called back. */
function decided(conversion, saving) {
  taken += 1;
  if (open?.id === conversion.conversionId) draw(conversion, saving);
  else list.update(conversion, saving);
  if (!saving) afterDecision();
}
