// Ties the parts together: log in, then show one place (period, filters, chosen conversion) and keep it fresh.

import { Problem, call, key } from './api.js';
import { actionsFor, refreshActions } from './decide.js';
import { showDetail, showLegend, showMissing } from './detail.js';
import { byId, el, say, write } from './element.js';
import { firstSteps, noMatch, noRows, noRowsForPublisher } from './empty.js';
import { layOut, showFigures } from './figures.js';
import { period, useTimeZone } from './format.js';
import { showHealth } from './health.js';
import * as list from './list.js';
import { showLogin } from './login.js';
import { go, place } from './place.js';
import { poll } from './poll.js';

const PAGE = 50;
const LEAST_WAIT_MS = { 1: 0, 7: 8_000, 30: 30_000 };
const SEARCH_DAYS = 30;
const CONVERSION_ID = /^[a-z2-7]{26}$/;
const PERIODS = { 1: 'Today', 7: 'Last 7 days', 30: 'Last 30 days' };

let me = null; // the key: {name, scopes, publisherId}
let config = null;
let search = '';
let cursor = null;
let polling = null;
let used = false; // whether this box has seen a click or an order lately
let open = null; // the chosen conversion: {id, actions, receipt}
let question = 0; // answers to an older question than the last are dropped

async function enter(identity) {
  me = identity;
  config = await call('GET', 'v1/config');
  useTimeZone(config.timeZone);
  document.title = `${config.merchant.name} · merchant box`;
  write(byId('merchant'), config.merchant.name);
  write(byId('who'), me.publisherId ? `Publisher ${me.publisherId}` : me.name + (canDecide() ? '' : ', reads only'));
  byId('publisher-field').hidden = Boolean(me.publisherId);
  write(byId('search-label'), me.publisherId ? 'Conversion id' : 'Order or conversion id');
  byId('dashboard').hidden = false;
  layOut();
  showPlace();
  polling = poll(refresh);
}

const canDecide = () => !me.publisherId && me.scopes.some((scope) => scope === 'admin' || scope === 'server');

function leave(sentence = '') {
  polling?.stop();
  polling = null;
  question += 1;
  open = null;
  search = '';
  byId('filters').reset();
  key.forget();
  list.showInstead(el('p'));
  showLegend();
  showLogin(start, sentence);
}

/** After a key was accepted, or found in this tab. */
function start(identity) {
  enter(identity).catch((error) => {
    byId('dashboard').hidden = true;
    showLogin(start, `${error.message} (${error.code ?? error.name})`);
  });
}

/** Everything that follows from the address: what is pressed, what is listed, which conversion is open. */
function showPlace() {
  const here = place();
  for (const button of document.querySelectorAll('[data-period]')) button.setAttribute('aria-pressed', String(button.dataset.period === here.days));
  write(byId('figures-title'), PERIODS[here.days]);
  const form = byId('filters').elements;
  form.status.value = here.status;
  offerPublisher(here.publisherId);
  form.publisherId.value = here.publisherId;
  showChosen(here.conversion);
}

function startOver() {
  question += 1;
  cursor = null;
  byId('more').hidden = true;
  list.emptyList();
  showPlace();
  polling?.now();
}

async function refresh() {
  const asked = question;
  const here = place();
  try {
    const [stats, page, status] = await Promise.all([
      call('GET', 'v1/stats', { query: { ...period(Number(here.days)), by: 'day' } }), newest(here), call('GET', 'v1/status')]);
    if (asked !== question || open?.saving) return 0;
    showFigures(stats, Number(here.days));
    showHealth(status, config);
    await showList(page, stats, here);
    write(byId('fresh'), `Days in UTC, times in ${config.timeZone}`);
    byId('fresh').classList.remove('fault');
    await refreshChosen();
    return unsettled() ? 0 : LEAST_WAIT_MS[here.days];
  } catch (error) {
    return failed(error);
  }
}

function failed(error) {
  if (!(error instanceof Problem)) throw error;
  if (error.status === 401) {
    leave('This key no longer works: it was revoked, or the box was set up anew.');
    return 0;
  }
  byId('fresh').classList.add('fault');
  write(byId('fresh'), `Not up to date. ${error.message} (${error.code})`);
  throw error;
}

async function newest(here) {
  if (CONVERSION_ID.test(search)) {
    const found = await call('GET', `v1/conversions/${search}`).catch((error) => { if (error.status !== 404) throw error; });
    if (found) return { conversions: [found], next: null };
  }
  return call('GET', 'v1/conversions', { query: listQuery(here) });
}

function listQuery(here) {
  const days = search ? Math.max(SEARCH_DAYS, Number(here.days)) : Number(here.days);
  return { ...period(days), status: here.status, publisherId: here.publisherId, orderId: search, limit: String(PAGE) };
}

async function showList(page, stats, here) {
  for (const { publisherId } of page.conversions) if (publisherId) offerPublisher(publisherId);
  if (page.conversions.length) {
    list.showNewest(page, !me.publisherId);
    list.choose(open?.id);
    if (cursor === null) cursor = page.next;
    byId('more').hidden = !cursor;
    return;
  }
  const filtered = here.status || here.publisherId || search;
  if (!filtered && isUntouched(stats) && !used) used = !isUntouched(await call('GET', 'v1/stats', { query: { ...period(SEARCH_DAYS), by: 'status' } }));
  const instead = filtered ? 'filtered' : me.publisherId ? 'publisher' : isUntouched(stats) && !used ? 'untouched' : 'none';
  if (byId('list').dataset.instead === instead && byId('list').querySelector('.empty')) return;
  byId('list').dataset.instead = instead;
  const clear = () => { search = ''; byId('filters').reset(); go({ status: '', publisherId: '' }); startOver(); };
  list.showInstead({ filtered: () => noMatch(clear), publisher: noRowsForPublisher, untouched: firstSteps, none: noRows }[instead]());
}

const isUntouched = ({ totals }) => !totals.clicks && !totals.conversions && !Object.keys(totals.unattributed).length;

function offerPublisher(publisherId) {
  const select = byId('filters').elements.publisherId;
  if (![...select.options].some((option) => option.value === publisherId)) select.append(el('option', { value: publisherId }, publisherId));
}

async function showOlder() {
  const asked = question;
  const button = byId('more');
  button.disabled = true;
  try {
    const page = await call('GET', 'v1/conversions', { query: { ...listQuery(place()), cursor } });
    if (asked !== question) return;
    list.showOlder(page);
    cursor = page.next;
    button.hidden = !cursor;
    say(`${page.conversions.length} older conversions`);
  } catch (error) {
    if (error.status === 401) failed(error);
    else say(`${error.message} (${error.code})`);
  } finally {
    button.disabled = false;
  }
}

const unsettled = () => open?.conversion && [open.conversion.network, open.conversion.network.change].some((at) => at && ['pending', 'sent', 'mined'].includes(at.state));

function choose(id) {
  go({ conversion: id }, { step: true });
  showChosen(id);
  byId('detail').querySelector('h2')?.focus({ preventScroll: true });
}

function close() {
  const last = open?.id;
  go({ conversion: '' });
  showChosen('');
  list.focusRow(last);
}

function showChosen(id) {
  list.choose(id || null);
  document.body.classList.toggle('has-detail', Boolean(id));
  if (!id) {
    open = null;
    showLegend();
    return;
  }
  if (open?.id === id) return;
  open = { id, actions: null, receipt: null, conversion: null };
  const known = list.held(id);
  if (known) showConversion(known);
  refreshChosen().catch(() => undefined);
}

async function refreshChosen() {
  const chosen = open;
  if (!chosen || chosen.saving) return;
  try {
    const conversion = await call('GET', `v1/conversions/${chosen.id}`);
    const onNetwork = conversion.network.sequence !== null;
    if (onNetwork && !chosen.receipt?.final) chosen.receipt = await call('GET', `v1/receipts/${chosen.id}`);
    if (open === chosen && !chosen.saving) showConversion(conversion);
  } catch (error) {
    if (open !== chosen) return;
    if (error.status === 404) showMissing('The box holds no conversion of that id, or this key may not see it.', close);
    else throw error;
  }
}

function showConversion(conversion, saving = false) {
  open.saving = saving;
  open.conversion = conversion;
  if (canDecide()) {
    open.actions ??= actionsFor(conversion, decided);
    if (!saving) refreshActions(open.actions, conversion, decided);
  } else if (!me.publisherId) {
    open.actions ??= el('p', { class: 'quiet small' }, 'This key reads only. Log in with a server key to approve or reject.');
  }
  list.update(conversion, saving);
  showDetail(conversion, { receipt: open.receipt, actions: open.actions, close, saving });
}

/** A decision was sent (`saving`), or answered. Whoever went on to another conversion meanwhile is not called back. */
function decided(conversion, saving) {
  if (open?.id === conversion.conversionId) showConversion(conversion, saving);
  else list.update(conversion, saving);
  if (!saving) polling?.now();
}

function moveInList(event) {
  const row = event.target.closest('tr[data-id]');
  const next = { ArrowDown: 'nextElementSibling', ArrowUp: 'previousElementSibling' }[event.key];
  if (!row || !next) return;
  event.preventDefault();
  row[next]?.querySelector('button')?.focus();
}

byId('list').addEventListener('click', (event) => {
  const row = event.target.closest('tr[data-id]');
  if (row && !getSelection().toString()) choose(row.dataset.id);
});
byId('list').addEventListener('keydown', moveInList);
byId('more').addEventListener('click', showOlder);
byId('logout').addEventListener('click', () => leave());
document.querySelector('.periods').addEventListener('click', (event) => {
  const { period: days } = event.target.dataset;
  if (days) { go({ days }); startOver(); }
});
byId('filters').addEventListener('submit', (event) => { event.preventDefault(); search = event.target.elements.search.value.trim(); startOver(); });
byId('filters').addEventListener('change', (event) => {
  if (event.target.name !== 'search') { go({ [event.target.name]: event.target.value }); startOver(); }
});
byId('filters').elements.search.addEventListener('search', (event) => { if (!event.target.value && search) { search = ''; startOver(); } });
document.addEventListener('keydown', (event) => { if (event.key === 'Escape' && open) close(); });
addEventListener('popstate', () => { if (me) startOver(); });

if (key.get()) {
  call('GET', 'v1/key').then(start, (error) => {
    if (error.status === 401) key.forget();
    showLogin(start, error.status === 401 ? 'This tab’s key no longer works.' : `${error.message} (${error.code})`);
  });
} else {
  showLogin(start);
}
