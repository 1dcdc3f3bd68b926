// The list of conversions. Rows are kept and rewritten in place: a poll moves nothing that did not change, nor the focus.

import { byId, el, say } from './element.js';
import { count, money, time } from './format.js';
import { NETWORK, STATUS, nameOf } from './words.js';

const COLUMNS = ['Time', 'Order', 'Publisher', 'Amount', 'Commission', 'Status', 'Network'];
let rows = new Map(); // conversionId -> {conversion, node, shown}
let chosen = null;
let body = null;

export const held = (conversionId) => rows.get(conversionId)?.conversion;

/** Start over: another filter, another period. */
export function emptyList() {
  rows = new Map();
  body = null;
  byId('list').setAttribute('aria-busy', 'true');
  if (!byId('list').firstElementChild) byId('list').replaceChildren(el('p', { class: 'empty quiet' }, 'Loading…'));
}

/** What stands in place of rows when there are none. */
export function showInstead(node) {
  emptyList();
  byId('list').setAttribute('aria-busy', 'false');
  byId('list').replaceChildren(node);
}

/** The newest page: its rows are put in front, rows of its stretch of time that it lacks go, older ones stay. Returns whether the list was empty. */
export function showNewest(page, publisherColumn) {
  const first = body === null;
  if (first) makeTable(publisherColumn);
  const found = new Set(page.conversions.map((conversion) => conversion.conversionId));
  const last = page.next ? page.conversions.at(-1).createdAt : '';
  for (const [id, row] of rows) if (!found.has(id) && row.conversion.createdAt >= last) remove(id);
  let fresh = 0;
  let before = null;
  for (const conversion of page.conversions) {
    const known = rows.has(conversion.conversionId);
    fresh += !known;
    const { node } = put(conversion, !known && !first);
    const place = before ? before.nextSibling : body.firstChild;
    if (place !== node) body.insertBefore(node, place);
    before = node;
  }
  if (!first && fresh) say(`${count(fresh)} new ${fresh === 1 ? 'conversion' : 'conversions'}`);
  return first;
}

/** An older page, below what is there. */
export function showOlder(page) {
  for (const conversion of page.conversions) if (!rows.has(conversion.conversionId)) body.append(put(conversion, false).node);
}

/** One conversion as it now is, wherever it stands. */
export function update(conversion, saving = false) {
  if (rows.has(conversion.conversionId)) put(conversion, false, saving);
}

export function choose(conversionId) {
  rows.get(chosen)?.node.removeAttribute('aria-current');
  chosen = conversionId;
  rows.get(chosen)?.node.setAttribute('aria-current', 'true');
}

export const focusRow = (conversionId) => rows.get(conversionId)?.node.querySelector('button')?.focus();

function makeTable(publisherColumn) {
  body = el('tbody', { role: 'rowgroup' });
  // A publisher is shown no order's number: what stands there names the conversion.
  const title = (name) => (name === 'Order' && !publisherColumn ? 'Conversion' : name);
  const head = el('tr', { role: 'row' }, ...COLUMNS.map((name) => el('th', { role: 'columnheader', scope: 'col', class: `c-${name.toLowerCase()}` }, title(name))));
  const table = el('table', { role: 'table', 'aria-labelledby': 'list-title', class: publisherColumn ? null : 'no-publisher' },
    el('thead', { role: 'rowgroup' }, head), body);
  byId('list').setAttribute('aria-busy', 'false');
  byId('list').replaceChildren(table);
}

function remove(id) {
  rows.get(id).node.remove();
  rows.delete(id);
}

function put(conversion, isNew, saving = false) {
  const id = conversion.conversionId;
  const shown = JSON.stringify([conversion, saving]);
  const row = rows.get(id) ?? { node: el('tr', { role: 'row', 'data-id': id, class: isNew ? 'fresh' : null }) };
  if (row.shown !== shown) {
    const focused = row.node.contains(document.activeElement);
    row.node.replaceChildren(...cells(conversion, saving));
    if (focused) row.node.querySelector('button').focus({ preventScroll: true });
  }
  if (id === chosen) row.node.setAttribute('aria-current', 'true');
  rows.set(id, Object.assign(row, { conversion, shown }));
  return row;
}

function cells(conversion, saving) {
  const { currency } = conversion;
  const cell = (name, ...children) => el('td', { role: 'cell', class: `c-${name}` }, ...children);
  return [
    cell('time', time(conversion.createdAt)),
    cell('order', el('button', { type: 'button', class: 'open', title: nameOf(conversion) }, nameOf(conversion)),
      conversion.action === 'lead' && el('span', { class: 'tag' }, 'lead'), conversion.isTest && el('span', { class: 'tag' }, 'test')),
    cell('publisher', conversion.publisherId ?? el('span', { class: 'quiet' }, 'nobody')),
    cell('amount', money(conversion.amount, currency)),
    cell('commission', commission(conversion)),
    cell('status', badge(conversion, saving)),
    cell('network', network(conversion.network)),
  ];
}

/** What it earns; crossed out once it is rejected. */
export function commission(conversion) {
  if (!conversion.attributed) return el('span', { class: 'quiet' }, '–');
  const text = money(conversion.commission, conversion.currency);
  return conversion.status === 'rejected' ? el('s', { class: 'off', title: 'Rejected: not paid' }, text) : text;
}

/** The status, as a mark and a word. What earns nobody has none to decide. */
export function badge(conversion, saving = false) {
  if (!conversion.attributed) return el('span', { class: 'badge is-none', title: 'Nobody earns on it' }, 'Unattributed');
  const [word, meaning] = STATUS[conversion.status];
  return el('span', { class: `badge is-${conversion.status}${saving ? ' saving' : ''}`, title: saving ? 'Being saved' : meaning }, saving ? `${word}…` : word);
}

/** How far it is on the network; a decision on its way is said first, for it is the newest. */
export function network(state) {
  const change = state.change && state.change.state !== 'confirmed' ? state.change : null;
  const [word, meaning] = NETWORK[(change ?? state).state] ?? [(change ?? state).state, ''];
  const text = change ? `Change: ${word.toLowerCase()}` : word;
  return el('span', { class: `network at-${(change ?? state).state}`, title: meaning }, text);
}
