// Approve, reject, re-open, amend: each asks once more, shows at once what it does, and takes it back when the box refuses.

import { Problem, call } from './api.js';
import { el, say } from './element.js';
import { money } from './format.js';
import { REASONS, STATUS, nameOf } from './words.js';

const MARGIN_MS = 3_600_000; // the box takes no decision in the last hour before the lock

/** The names of what can be done with a conversion now. */
export function possible(conversion, now = Date.now()) {
  const locked = conversion.lockAt && now >= Date.parse(conversion.lockAt) - MARGIN_MS;
  if (!conversion.attributed || conversion.status === 'sale' || locked) return [];
  return { open: ['approve', 'reject', 'amend'], approved: ['reject', 'amend', 're-open'], rejected: ['re-open', 'approve'] }[conversion.status];
}

/** The panel's actions: an element that belongs to one conversion. `changed(conversion, saving)` follows each change of it. */
export function actionsFor(conversion, changed) {
  const place = el('div', { class: 'actions' });
  showButtons(place, conversion, changed);
  return place;
}

/** Redraws the buttons where the conversion changed, but never under an open question. */
export function refreshActions(place, conversion, changed) {
  if (!place.querySelector('form')) showButtons(place, conversion, changed);
}

function showButtons(place, conversion, changed, fault = null) {
  const names = possible(conversion);
  const state = JSON.stringify([names, conversion.status, conversion.amount, fault]);
  if (place.dataset.state === state) return;
  place.dataset.state = state;
  const buttons = names.map((name) => el('button', { type: 'button', class: name === 'approve' ? 'primary' : null, 'data-action': name,
    onclick: () => ask(place, conversion, name, changed) }, QUESTIONS[name].label));
  place.replaceChildren(...(buttons.length ? buttons : [el('p', { class: 'quiet small' }, whyNothing(conversion))]),
    ...(fault ? [el('p', { class: 'fault', role: 'alert' }, fault)] : []));
}

function whyNothing(conversion) {
  if (!conversion.attributed) return 'Nobody earns on this one, so there is nothing to decide.';
  if (conversion.status === 'sale') return 'Final: the lock date has passed and nothing changes it again.';
  return 'Its lock date has passed or is within the hour; nothing changes it any more.';
}

const QUESTIONS = {
  approve: { label: 'Approve', sure: 'Approve', becomes: 'approved', said: 'approved',
    text: (c) => `Approve ${nameOf(c)} over ${money(c.amount, c.currency)}? ${c.publisherId} then earns ${money(c.commission, c.currency)}.`, fields: () => [], body: () => ({ status: 'approved' }) },
  reject: { label: 'Reject…', sure: 'Reject', becomes: 'rejected', said: 'rejected',
    text: (c) => `Reject ${nameOf(c)}? ${c.publisherId} earns nothing on it, and sees the reason.`, fields: () => [reasonField()], body: (data) => ({ status: 'rejected', reason: data.get('reason') }) },
  're-open': { label: 'Re-open', sure: 'Re-open', becomes: 'open', said: 're-opened',
    text: (c) => `Take the decision on ${nameOf(c)} back? It is ${STATUS.open[0]} again, and after its due date silence decides.`, fields: () => [], body: () => ({ status: 'open' }) },
  amend: { label: 'Amend…', sure: 'Amend', becomes: null, said: 'amended',
    text: (c) => `The amount of ${nameOf(c)} that counts, ${money(c.amount, c.currency)} until now. The commission is computed anew.`, fields: amountFields, body: amountBody },
};

function reasonField() {
  const options = Object.entries(REASONS).map(([code, text]) => el('option', { value: code }, text));
  return el('label', { class: 'field' }, el('span', {}, 'Reason'), el('select', { name: 'reason', required: true }, el('option', { value: '' }, 'Choose one'), ...options));
}

function amountFields(conversion) {
  const several = conversion.lines?.length > 1;
  const lines = several ? conversion.lines : [{ group: `New amount (${conversion.currency})`, amount: conversion.amount }];
  return lines.map((line) => el('label', { class: 'field' }, el('span', {}, line.group),
    el('input', { name: 'amount', value: line.amount, inputmode: 'decimal', autocomplete: 'off', required: true })));
}

function amountBody(data, conversion) {
  const amounts = data.getAll('amount').map((text) => text.trim());
  if (!(conversion.lines?.length > 1)) return { amount: amounts[0] };
  return { lines: Object.fromEntries(conversion.lines.map((line, place) => [line.group, amounts[place]])) };
}

function ask(place, conversion, name, changed) {
  const question = QUESTIONS[name];
  const fault = el('p', { class: 'fault', role: 'alert' });
  const form = el('form', { class: 'ask', novalidate: true, 'aria-label': question.label },
    el('p', {}, question.text(conversion)), ...question.fields(conversion), fault,
    el('p', { class: 'buttons' }, el('button', { type: 'submit', class: 'primary' }, question.sure), el('button', { type: 'button', 'data-action': 'cancel' }, 'Cancel')));
  const back = (sentence) => {
    form.remove();
    place.dataset.state = '';
    showButtons(place, conversion, changed, sentence);
    place.querySelector('button')?.focus();
  };
  form.querySelector('[data-action=cancel]').addEventListener('click', () => back(null));
  form.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    event.stopPropagation();
    back(null);
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const empty = [...form.elements].find((field) => field.required && !field.value.trim());
    if (empty) {
      fault.textContent = empty.name === 'reason' ? 'Choose a reason: the publisher sees it.' : 'Give an amount, such as 80.00.';
      empty.focus();
      return;
    }
    send(form, place, conversion, question, changed, fault);
  });
  place.replaceChildren(form);
  (form.querySelector('select, input') ?? form.querySelector('button')).focus();
}

async function send(form, place, conversion, question, changed, fault) {
  const body = question.body(new FormData(form), conversion);
  for (const field of form.elements) field.disabled = true;
  fault.textContent = '';
  if (question.becomes) changed({ ...conversion, status: question.becomes }, true);
  try {
    const answer = await call('PATCH', `v1/conversions/${conversion.conversionId}`, { body });
    form.remove();
    place.dataset.state = '';
    showButtons(place, answer, changed);
    place.querySelector('button')?.focus({ preventScroll: true });
    changed(answer, false);
    say(`${nameOf(answer)} ${question.said}`);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    for (const field of form.elements) field.disabled = false;
    changed(conversion, false);
    fault.textContent = `${error.message} (${error.code})`;
    form.querySelector('[type=submit]').focus();
  }
}
