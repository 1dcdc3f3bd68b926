import { verify } from './checks.js';

const form = document.querySelector('form');
const results = document.querySelector('ol');
const verdict = document.querySelector('output');
const text = form.elements.receipt;

form.elements.file.addEventListener('change', async (event) => {
  const [file] = event.target.files;
  if (file) text.value = await file.text();
});

// What a receipt says may hold characters that hide text or turn its direction: they are written out.
const printable = (said) => said.replace(/\p{C}/gu, (char) => `\\u${char.codePointAt(0).toString(16).padStart(4, '0')}`);
let runs = 0; // of the button: what an earlier one still finds is shown no more

const show = (check) => {
  const line = document.createElement('li');
  line.className = check.ok ? 'ok' : 'fail';
  line.dataset.check = check.name;
  const name = document.createElement('strong');
  name.textContent = `${check.ok ? '✓' : '✗'} ${check.name}`;
  line.append(name, ' ', printable(check.detail));
  results.append(line);
};

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const run = ++runs;
  results.replaceChildren();
  verdict.className = '';
  verdict.value = 'Checking…';
  try {
    let last;
    for await (const check of verify(JSON.parse(text.value), form.elements.rpc.value, CODE_HASH)) {
      if (run !== runs) return;
      show((last = check));
    }
    if (run !== runs) return;
    verdict.className = last.ok ? 'ok' : 'fail';
    const older = last.older ? ', and is older than the chain: see amendments and status.' : '.';
    verdict.value = last.ok ? `The receipt holds${older}` : `The receipt does not hold: ${last.name}.`;
  } catch (problem) {
    if (run !== runs) return;
    verdict.className = 'unknown';
    verdict.value = `Not checked: ${printable(problem.message)}`;
  }
});
