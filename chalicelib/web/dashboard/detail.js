// One conversion: what it is worth, what to decide, why it was attributed, and its proof on the network.

import { BOX } from './api.js';
import { byId, copyButton, el } from './element.js';
import { count, money, time } from './format.js';
import { badge, commission, network } from './list.js';
import { NETWORK, RULE, SOURCE, STATUS, UNATTRIBUTED, WHY_REJECTED, nameOf } from './words.js';

let shown = '';

/** The legend, while no conversion is chosen. */
export function showLegend() {
  shown = '';
  byId('detail').dataset.of = '';
  byId('detail').classList.remove('is-open');
  byId('detail').replaceChildren(
    el('h2', {}, 'What a status means'),
    el('dl', { class: 'legend' }, ...Object.entries(STATUS).flatMap(([status, [word, meaning]]) => [
      el('dt', {}, el('span', { class: `badge is-${status}` }, word)), el('dd', {}, meaning)])),
    el('p', { class: 'quiet small' }, 'Choose a conversion to see its proof and its history. ', el('kbd', {}, '↑'), ' ', el('kbd', {}, '↓'), ' move through the list, ',
      el('kbd', {}, 'Enter'), ' opens, ', el('kbd', {}, 'Esc'), ' closes.'));
}

/** `parts`: {receipt, actions (an element or null), close, saving}. The actions stay where they are through a redraw, an open question and all. */
export function showDetail(conversion, { receipt, actions, close, saving = false }) {
  const now = JSON.stringify([conversion, receipt, saving]);
  const panel = byId('detail');
  if (shown === now) return;
  shown = now;
  if (panel.dataset.of !== conversion.conversionId || panel.children[1] !== (actions ?? panel.children[1])) {
    panel.dataset.of = conversion.conversionId;
    panel.replaceChildren(el('div'), actions ?? el('div'), el('div'));
    panel.scrollTop = 0;
  }
  panel.classList.add('is-open');
  const openings = new Set([...panel.querySelectorAll('details[open]')].map((part) => part.dataset.name));
  redraw(panel.children[0], [head(conversion, close, saving), worth(conversion)]);
  redraw(panel.children[2], [
    deadlines(conversion),
    section('On the network', ...proof(conversion, receipt)),
    section('Attribution', facts(attribution(conversion))),
    history(conversion, openings),
    ...metadata(conversion, openings)]);
}

/** New children in place of the old; the focus goes to what is called the same. */
function redraw(part, children) {
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  part.replaceChildren(...children);
  if (!focused) return;
  const same = (node) => node.textContent === focused.textContent && node.getAttribute('aria-label') === focused.getAttribute('aria-label');
  ([...part.querySelectorAll(focused.tagName)].find(same) ?? byId('detail').querySelector('h2')).focus({ preventScroll: true });
}

/** A sentence where the conversion would be. */
export function showInstead(title, sentence, close) {
  shown = '';
  byId('detail').dataset.of = '';
  byId('detail').classList.add('is-open');
  byId('detail').replaceChildren(closing(title, close), el('p', {}, sentence));
}

function head(conversion, close, saving) {
  const node = closing(nameOf(conversion), close);
  node.querySelector('h2').after(badge(conversion, saving));
  return node;
}

const closing = (text, close) => el('div', { class: 'head' },
  el('h2', { tabindex: '-1' }, text), el('button', { type: 'button', class: 'plain close', onclick: close }, 'Close'));

function worth(conversion) {
  const { currency } = conversion;
  return el('dl', { class: 'worth' },
    el('div', {}, el('dt', {}, conversion.action === 'lead' ? 'Lead' : 'Amount'), el('dd', {}, money(conversion.amount, currency))),
    el('div', {}, el('dt', {}, 'Commission'), el('dd', {}, commission(conversion))));
}

function deadlines(conversion) {
  const reason = conversion.reason && `${WHY_REJECTED[conversion.reason] ?? conversion.reason} (${conversion.reason})`;
  return facts([
    ['Reason', reason],
    ['Reported', time(conversion.createdAt, { long: true })],
    ['Due', conversion.dueAt && time(conversion.dueAt, { long: true })],
    ['Locks', conversion.lockAt && time(conversion.lockAt, { long: true })],
  ]);
}

function proof(conversion, receipt) {
  const { network: state, conversionId } = conversion;
  const [, meaning] = NETWORK[state.state] ?? ['', ''];
  const change = state.change;
  return [
    el('p', { class: 'state' }, network(state), ' ', el('span', { class: 'quiet small' }, state.reason ?? meaning)),
    facts([
      ['Sequence', state.sequence !== null && count(state.sequence)],
      ['Block', state.blockNumber !== null && count(state.blockNumber)],
      ['Transaction', hash(state.transaction, 'transaction hash')],
      ['Last change', change && [NETWORK[change.state]?.[0] ?? change.state, change.blockNumber !== null && ` · block ${count(change.blockNumber)}`]],
      ['Its transaction', change && hash(change.transaction, 'transaction hash of the last change')],
    ]),
    el('p', { class: 'marks' }, ...marks(conversion, receipt)),
    state.state === 'none' ? null : el('p', {}, el('a', { href: new URL(`v1/receipts/${conversionId}`, BOX), target: '_blank', rel: 'noopener' },
      receipt ? 'Public receipt' : 'Public receipt (not there yet)'),
    receipt && [' · ', el('a', { href: new URL('assets/verify.html', BOX), target: '_blank', rel: 'noopener' }, 'Check it without the box')]),
  ].filter(Boolean);
}

function marks(conversion, receipt) {
  const mark = (text, meaning) => el('span', { class: 'tag', title: meaning }, text);
  return [
    conversion.verified ? mark('verified', 'Reported by the merchant’s server or a signed tag') : mark('unverified', 'Only a browser reported it so far'),
    receipt?.hosted && mark('hosted', 'The box holds the publisher’s key too: this proves less'),
    receipt && (receipt.final ? mark('final', 'The network will not take its block back') : mark('not final yet', 'The network could still take its block back')),
    conversion.isTest && mark('test', 'Never on the network and in no total'),
  ].filter(Boolean);
}

function attribution(conversion) {
  const { attribution: given } = conversion;
  return [
    ['Publisher', conversion.publisherId],
    ['Rule', RULE[given.rule] ?? given.rule],
    ['Why not', given.reason && `The order came ${UNATTRIBUTED[given.reason] ?? given.reason}.`],
    ['Clicked', given.clickedAt && time(given.clickedAt, { long: true })],
    ['Sub id', conversion.subId],
    ['Click', hash(conversion.clickId, 'click id')],
    ['Over', given.loser],
    ['Source', SOURCE[conversion.source] ?? conversion.source],
    ['Conversion', hash(conversion.conversionId, 'conversion id')],
  ];
}

function history(conversion, openings) {
  const lines = conversion.history.map((line) => el('li', {},
    time(line.at), ' ', el('strong', {}, line.event), line.by && el('span', { class: 'quiet' }, ` by ${line.by}`), line.detail && el('span', { class: 'block' }, line.detail)));
  return folded('history', `History (${count(lines.length)})`, openings, true, el('ol', { class: 'history' }, ...lines.reverse()));
}

function metadata(conversion, openings) {
  const rows = Object.entries(conversion.metadata ?? {}).map(([name, value]) => [name, String(value)]);
  return rows.length ? [folded('metadata', `Metadata (${count(rows.length)})`, openings, false, facts(rows), el('p', { class: 'quiet small' }, 'It stays in the box; no part of it is on the network.'))] : [];
}

/** Rows without a value are left out. */
function facts(rows) {
  return el('dl', { class: 'facts' }, ...rows.filter(([, value]) => value).flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, ...[value].flat())]));
}

const section = (name, ...children) => el('section', {}, el('h3', {}, name), ...children);

function folded(name, summary, openings, openAtFirst, ...children) {
  const open = openings.size || byId('detail').dataset.folds ? openings.has(name) : openAtFirst;
  const node = el('details', { 'data-name': name, open }, el('summary', {}, summary), ...children);
  node.addEventListener('toggle', () => { byId('detail').dataset.folds = 'touched'; });
  return node;
}

function hash(text, what) {
  if (!text) return null;
  const short = text.length > 20 ? `${text.slice(0, 10)}…${text.slice(-6)}` : text;
  return [el('code', { title: text }, short), ' ', copyButton(() => text, 'Copy', what)];
}
