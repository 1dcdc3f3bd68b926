// The figures of a period: traffic, commission by status, what earned nobody anything, and the days.

import { byId, el, svg, write } from './element.js';
import { count, day, money, rate } from './format.js';
import { STATUS, UNATTRIBUTED } from './words.js';

const TRAFFIC = [
  ['clicks', 'Clicks', (totals) => count(totals.clicks)],
  ['conversions', 'Conversions', (totals) => count(totals.conversions)],
  ['conversionRate', 'Conversion rate', (totals) => rate(totals.conversionRate)],
  ['earningsPerClick', 'Earnings per click', (totals, currency) => money(totals.earningsPerClick, currency)],
  ['amount', 'Order value', (totals, currency) => money(totals.amount, currency)],
];
const COMMISSION_NOTES = { open: 'to decide', approved: 'earned', sale: 'payable', rejected: 'not paid' };

/** Puts the places there once, so that nothing moves when the figures come. */
export function layOut() {
  byId('traffic').replaceChildren(...TRAFFIC.map(([name, label]) => el('div', {}, el('dt', {}, label), el('dd', { 'data-figure': name }, '–'))));
  byId('commission').replaceChildren(...Object.keys(STATUS).map((status) => el('div', { class: `is-${status}` },
    el('dt', { title: STATUS[status][1] }, STATUS[status][0], el('span', { class: 'note' }, COMMISSION_NOTES[status])),
    el('dd', { 'data-figure': `commission-${status}` }, '–'))));
  byId('split').replaceChildren(...Object.keys(STATUS).map((status) => el('span', { class: `is-${status}` })));
}

/** The figures shown are of another period than the one asked for. */
export const awaitFigures = () => byId('traffic').parentElement.setAttribute('aria-busy', 'true');

/** `stats` is the answer of /v1/stats?by=day. */
export function showFigures(stats, days) {
  const { totals, currency } = stats;
  byId('traffic').parentElement.removeAttribute('aria-busy');
  for (const [name, , shown] of TRAFFIC) write(figure(name), shown(totals, currency));
  for (const status of Object.keys(STATUS)) write(figure(`commission-${status}`), money(totals.commission[status], currency));
  showSplit(totals.commission);
  write(byId('unattributed'), unattributed(totals.unattributed));
  showDays(stats, days);
}

const figure = (name) => document.querySelector(`[data-figure="${name}"]`);

/** Widths alone, so a float is good enough here. */
function showSplit(commission) {
  for (const status of Object.keys(STATUS)) byId('split').querySelector(`.is-${status}`).style.flexGrow = commission[status];
}

function unattributed(reasons) {
  const parts = Object.entries(reasons).map(([reason, number]) => `${count(number)} ${UNATTRIBUTED[reason] ?? reason}`);
  const total = Object.values(reasons).reduce((sum, number) => sum + number, 0);
  return total ? `${count(total)} unattributed: ${parts.join(', ')}.` : 'None unattributed.';
}

const HEIGHT = 56;

/** One column a day: conversions. The table beside it, for screen readers, says the same. */
function showDays(stats, days) {
  const place = byId('days');
  place.hidden = days === 1;
  if (days === 1 || place.dataset.shown === JSON.stringify(stats.rows)) return;
  place.dataset.shown = JSON.stringify(stats.rows);
  const rows = everyDay(stats);
  const most = Math.max(1, ...rows.map((row) => row.conversions));
  const columns = rows.map((row, place) => {
    const height = row.conversions ? Math.max(2, HEIGHT * row.conversions / most) : 1;
    return svg('g', {}, svg('rect', { class: row.conversions ? 'bar-full' : 'bar-empty', x: place * 10 + 1, y: HEIGHT - height, width: 8, height }),
      title(`${day(row.key)}: ${count(row.conversions)} conversions, ${count(row.clicks)} clicks`));
  });
  const chart = svg('svg', { viewBox: `0 0 ${rows.length * 10} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' }, ...columns);
  place.replaceChildren(chart, el('p', { class: 'ends small quiet' }, el('span', {}, day(stats.from)), el('span', {}, 'Conversions by day'), el('span', {}, day(stats.to))), asTable(rows));
}

function title(text) {
  const node = svg('title');
  node.textContent = text;
  return node;
}

function everyDay(stats) {
  const known = new Map(stats.rows.map((row) => [row.key, row]));
  const rows = [];
  for (let at = Date.parse(stats.from); at <= Date.parse(stats.to); at += 86_400_000) {
    const name = new Date(at).toISOString().slice(0, 10);
    rows.push(known.get(name) ?? { key: name, conversions: 0, clicks: 0 });
  }
  return rows;
}

function asTable(rows) {
  const head = el('tr', {}, ...['Day', 'Conversions', 'Clicks'].map((name) => el('th', { scope: 'col' }, name)));
  const body = rows.map((row) => el('tr', {}, el('th', { scope: 'row' }, day(row.key)), el('td', {}, count(row.conversions)), el('td', {}, count(row.clicks))));
  return el('table', { class: 'unseen' }, el('caption', {}, 'Conversions by day'), el('thead', {}, head), el('tbody', {}, ...body));
}
