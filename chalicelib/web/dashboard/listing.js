// Which conversions are listed: asks for the pages, and knows what to show while there are none.

import { call } from './api.js';
import { byId, el, say } from './element.js';
import { firstSteps, noMatch, noRows, noRowsForPublisher } from './empty.js';
import { period } from './format.js';
import * as list from './list.js';

const PAGE = 50;
const SEARCH_DAYS = 30;
const CONVERSION_ID = /^[a-z2-7]{26}$/;

let search = ''; // an order id: kept out of the address, for it may be personal
let cursor = null; // of the page after the last one shown
let used = false; // whether this box has seen a click or an order lately

export function startOver() {
  cursor = null;
  byId('more').hidden = true;
  list.emptyList();
}

/** Forget the person who looked, with everything they saw. */
export function forget() {
  startOver();
  searchFor('');
  used = false;
  byId('filters').reset();
  byId('list').replaceChildren();
}

export function searchFor(text) {
  search = text.trim();
  return search;
}

export const searched = () => search;

/** The newest page of what `here` (see place.js) and the search ask for. */
export async function newest(here) {
  if (CONVERSION_ID.test(search)) {
    const found = await call('GET', `v1/conversions/${search}`).catch((error) => { if (error.status !== 404) throw error; });
    if (found) return { conversions: [found], next: null };
  }
  return call('GET', 'v1/conversions', { query: query(here) });
}

/** Orders are looked for in a month at least, whatever period the figures are of. */
function query(here) {
  const days = search ? Math.max(SEARCH_DAYS, Number(here.days)) : Number(here.days);
  return { ...period(days), status: here.status, publisherId: here.publisherId, orderId: search, limit: String(PAGE) };
}

/** Shows the newest page. `stats` (a promise) of the same period tell an unused box from a quiet one; `clear` takes the filters off;
 *  `current()` says whether the page is still wanted. */
export async function showNewest(page, stats, here, { publisher, chosen, clear, current }) {
  if (!current()) return;
  for (const { publisherId } of page.conversions) if (publisherId) offerPublisher(publisherId);
  if (page.conversions.length) {
    const first = list.showNewest(page, !publisher);
    list.choose(chosen());
    if (first) cursor = page.next;
    byId('more').hidden = !cursor;
    return;
  }
  const kind = await whyNone(stats, here, publisher);
  if (!current() || byId('list').firstElementChild?.dataset.why === kind) return;
  const node = { filtered: () => noMatch(clear), publisher: noRowsForPublisher, unused: firstSteps, quiet: noRows }[kind]();
  node.dataset.why = kind;
  list.showInstead(node);
  byId('more').hidden = true;
}

async function whyNone(stats, here, publisher) {
  if (here.status || here.publisherId || search) return 'filtered';
  if (publisher) return 'publisher';
  used ||= isUsed(await stats) || isUsed(await call('GET', 'v1/stats', { query: { ...period(SEARCH_DAYS), by: 'day' } }));
  return used ? 'quiet' : 'unused';
}

const isUsed = ({ totals }) => totals.clicks > 0 || totals.conversions > 0 || Object.keys(totals.unattributed).length > 0;

/** The filter offers the publishers that were seen. */
export function offerPublisher(publisherId) {
  const select = byId('filters').elements.publisherId;
  if (![...select.options].some((option) => option.value === publisherId)) select.append(el('option', { value: publisherId }, publisherId));
}

/** The next page. `current()` says whether the same question still stands when the answer comes. */
export async function showOlder(here, current) {
  const button = byId('more');
  button.disabled = true;
  try {
    const page = await call('GET', 'v1/conversions', { query: { ...query(here), cursor } });
    if (!current()) return;
    list.showOlder(page);
    cursor = page.next;
    button.hidden = !cursor;
    say(`${page.conversions.length} older conversions`);
  } finally {
    button.disabled = false;
  }
}
