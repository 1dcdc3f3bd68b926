import { verify } from './checks.js';

const form = document.querySelector('form');
const results = document.querySelector('ol');
const verdict = document.querySelector('output');
const text = form.elements.receipt;

form.elements.file.addEventListener('change', async (event) => {
  const [file] = event.target.files;
  if (file) text.value = await file.text();
});

const show = (check) => {
  const line = document.createElement('li');
  line.className = check.ok ? 'ok' : 'fail';
  line.dataset.check = check.name;
  const name = document.createElement('strong');
  name.textContent = `${check.ok ? '✓' : '✗'} ${check.name}`;
  line.append(name, ' ', check.detail);
  results.append(line);
};

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  results.replaceChildren();
  verdict.className = '';
  verdict.value = 'Checking…';
  try {
    let last;
    for await (const check of verify(JSON.parse(text.value), form.elements.rpc.value, CODE_HASH)) show((last = check));
    verdict.className = last.ok ? 'ok' : 'fail';
    verdict.value = last.ok ? 'The receipt holds.' : `The receipt does not hold: ${last.name}.`;
  } catch (problem) {
    verdict.className = 'unknown';
    verdict.value = `Not checked: ${problem.message}`;
  }
});
