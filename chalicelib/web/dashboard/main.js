// Ties the parts together: log in, then show one place (period, filters, chosen conversion) and keep it fresh.

import { Problem, call, key } from './api.js';
import * as chosen from './chosen.js';
import { byId, say, write } from './element.js';
import { awaitFigures, layOut, showFigures } from './figures.js';
import { period, useTimeZone } from './format.js';
import { showHealth } from './health.js';
import * as listing from './listing.js';
import { showLogin } from './login.js';
import { go, place } from './place.js';
import { poll } from './poll.js';

const LEAST_WAIT_MS = { 1: 0, 7: 8_000, 30: 30_000 };
const PERIODS = { 1: 'Today', 7: 'Last 7 days', 30: 'Last 30 days' };

let me = null; // the key: {name, scopes, publisherId}
let config = null;
let polling = null;
let question = 0; // answers to an older question than the last are dropped

/** After a key was accepted, or found in this tab. */
async function start(identity) {
  try {
    config = await call('GET', 'v1/config');
  } catch (error) {
    showLogin(start, sentence(error));
    return;
  }
  me = identity;
  useTimeZone(config.timeZone);
  introduce();
  chosen.allow({ decide: mayDecide(), explain: !me.publisherId }, () => polling?.now());
  layOut();
  byId('dashboard').hidden = false;
  startOver();
  polling = poll(refresh);
}

const mayDecide = () => !me.publisherId && me.scopes.some((scope) => scope === 'admin' || scope === 'server');
const sentence = (error) => `${error.message} (${error.code ?? error.name})`;

function introduce() {
  document.title = `${config.merchant.name} · merchant box`;
  write(byId('merchant'), config.merchant.name);
  write(byId('who'), me.publisherId ? `Publisher ${me.publisherId}` : me.name + (mayDecide() ? '' : ', reads only'));
  byId('publisher-field').hidden = Boolean(me.publisherId);
  write(byId('search-label'), me.publisherId ? 'Conversion id' : 'Order or conversion id');
}

function leave(why = '') {
  polling?.stop();
  polling = null;
  me = null;
  question += 1;
  key.forget();
  listing.forget();
  go({ conversion: '', publisherId: '' });
  chosen.show('');
  showLogin(start, why);
}

/** Everything that follows from the address: what is pressed, what is listed, which conversion is open. */
function showPlace() {
  const here = place();
  for (const button of document.querySelectorAll('[data-period]')) button.setAttribute('aria-pressed', String(button.dataset.period === here.days));
  write(byId('figures-title'), PERIODS[here.days]);
  if (here.publisherId) listing.offerPublisher(here.publisherId);
  const { status, publisherId } = byId('filters').elements;
  status.value = here.status;
  publisherId.value = here.publisherId;
  chosen.show(here.conversion);
}

function startOver() {
  question += 1;
  listing.startOver();
  showPlace();
  polling?.now();
}

/** One round: everything on the page, asked for at once, each part shown when it comes. Returns the least milliseconds until the next. */
async function refresh() {
  const asked = question;
  const here = place();
  const days = Number(here.days);
  const decisions = chosen.decisions();
  const unless = (show) => (answer) => { if (asked === question) show(answer); };
  const stats = call('GET', 'v1/stats', { query: { ...period(days), by: 'day' } });
  const options = { publisher: Boolean(me.publisherId), chosen: chosen.chosenId, clear, current: () => asked === question && decisions === chosen.decisions() && !chosen.isSaving() };
  try {
    await Promise.all([
      stats.then(unless((answer) => showFigures(answer, days))),
      call('GET', 'v1/status').then(unless((answer) => showHealth(answer, config))),
      listing.newest(here).then((page) => listing.showNewest(page, stats, here, options)),
      chosen.refresh(),
    ]);
    if (asked !== question) return 0;
    byId('fresh').classList.remove('fault');
    write(byId('fresh'), `Days in UTC, times in ${config.timeZone}`);
    return chosen.isMoving() ? 0 : LEAST_WAIT_MS[here.days];
  } catch (error) {
    if (asked === question) failed(error);
    return 0;
  }
}

/** What is on the page stays, and the page says that it is old. Raises the error again, for the poll to slow down. */
function failed(error) {
  if (error instanceof Problem && error.status === 401) {
    leave('This key no longer works: it was revoked, or the box was set up anew.');
    return;
  }
  byId('fresh').classList.add('fault');
  write(byId('fresh'), `Not up to date. ${sentence(error)}`);
  throw error;
}

function clear() {
  listing.searchFor('');
  byId('filters').reset();
  go({ status: '', publisherId: '' });
  startOver();
}

function showOlder() {
  const asked = question;
  listing.showOlder(place(), () => asked === question).catch((error) => {
    if (error.status === 401) failed(error);
    else say(sentence(error));
  });
}

/** Arrow keys go from row to row. */
function moveInList(event) {
  const next = { ArrowDown: 'nextElementSibling', ArrowUp: 'previousElementSibling' }[event.key];
  const row = event.target.closest('tr[data-id]');
  if (!row || !next) return;
  event.preventDefault();
  row[next]?.querySelector('button')?.focus();
}

byId('list').addEventListener('click', (event) => {
  const row = event.target.closest('tr[data-id]');
  if (row && !getSelection().toString()) chosen.choose(row.dataset.id);
});
byId('list').addEventListener('keydown', moveInList);
byId('more').addEventListener('click', showOlder);
byId('logout').addEventListener('click', () => leave());
document.querySelector('.periods').addEventListener('click', (event) => {
  const { period: days } = event.target.dataset;
  if (!days) return;
  go({ days });
  awaitFigures();
  startOver();
});
byId('filters').addEventListener('submit', (event) => {
  event.preventDefault();
  listing.searchFor(event.target.elements.search.value);
  startOver();
});
byId('filters').addEventListener('change', (event) => {
  if (event.target.name === 'search') return;
  go({ [event.target.name]: event.target.value });
  startOver();
});
byId('filters').elements.search.addEventListener('search', (event) => {
  if (event.target.value || !listing.searched()) return;
  listing.searchFor('');
  startOver();
});
document.addEventListener('keydown', (event) => { if (event.key === 'Escape' && chosen.chosenId()) chosen.close(); });
addEventListener('popstate', () => {
  if (!me) return;
  awaitFigures();
  startOver();
});

if (key.get()) {
  call('GET', 'v1/key').then(start, (error) => {
    if (error.status === 401) key.forget();
    showLogin(start, error.status === 401 ? 'This tab’s key no longer works.' : sentence(error));
  });
} else {
  showLogin(start);
}
