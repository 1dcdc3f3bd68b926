// What stands in the list's place while there is nothing to list: the way to the first sale, or out of a filter.

import { BOX } from './api.js';
import { copyButton, el } from './element.js';

const STUB = 'window.mtag=window.mtag||function(){(mtag.q=mtag.q||[]).push(arguments)};mtag.u=mtag.u||location.href';

const snippet = () => `<script>${STUB}</script>\n<script async src="${new URL('libs/mtag.js', BOX)}"></script>`;
const conversion = "mtag('sale', null, {orderId: 'B-1'}, ['100.00'])";

/** No click and no conversion yet, for the merchant. */
export function firstSteps() {
  return el('div', { class: 'empty' },
    el('h3', {}, 'Paste this on every page of the shop'),
    code('snippet', snippet()),
    el('h3', {}, 'and say when somebody bought, on the page that thanks for the order'),
    code('call', conversion),
    el('p', { class: 'quiet' }, 'The first click and the first sale appear here by themselves.'));
}

/** The same for a publisher, who pastes nothing. */
export const noRowsForPublisher = () => el('div', { class: 'empty' },
  el('p', {}, 'No conversion through your links in this period.'), el('p', { class: 'quiet' }, 'The next one appears here by itself.'));

export const noRows = () => el('div', { class: 'empty' },
  el('p', {}, 'No conversion in this period yet.'), el('p', { class: 'quiet' }, 'The next one appears here by itself.'));

/** A filter is set: `clear` takes it off. */
export const noMatch = (clear) => el('div', { class: 'empty' },
  el('p', {}, 'No conversion of this period matches.'),
  el('p', {}, el('button', { type: 'button', onclick: clear }, 'Show all of them')));

function code(name, text) {
  return el('div', { class: 'code' }, el('pre', { tabindex: '0' }, el('code', { 'data-snippet': name }, text)), copyButton(() => text, 'Copy', name));
}
