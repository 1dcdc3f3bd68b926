// The way in: one of the box's API keys.

import { Problem, call, key } from './api.js';
import { byId, write } from './element.js';

/** Shows the form, with a sentence if the way out was not the person's own. `entered(identity)` follows a key that the box knows. */
export function showLogin(entered, sentence = '') {
  byId('dashboard').hidden = true;
  byId('login').hidden = false;
  document.title = 'Log in · merchant box';
  fault(sentence);
  const form = byId('login-form');
  form.onsubmit = (event) => {
    event.preventDefault();
    attempt(form, entered);
  };
  form.elements.key.focus();
}

async function attempt(form, entered) {
  const given = form.elements.key.value.trim();
  if (!key.looksRight(given)) {
    refuse(form, given ? 'This does not look like a key. A key is box_ and 32 letters and digits.' : 'Paste a key of this box.');
    return;
  }
  const button = form.querySelector('button');
  button.disabled = true;
  try {
    const identity = await call('GET', 'v1/key', { bearer: given });
    key.set(given);
    form.elements.key.value = '';
    byId('login').hidden = true;
    fault('');
    entered(identity);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    refuse(form, error.status === 401 ? 'This key is not one of this box, or it was revoked.' : `${error.message} (${error.code})`);
  } finally {
    button.disabled = false;
  }
}

function refuse(form, sentence) {
  fault(sentence);
  form.elements.key.setAttribute('aria-invalid', 'true');
  form.elements.key.focus();
}

function fault(sentence) {
  write(byId('login-fault'), sentence);
  byId('key').removeAttribute('aria-invalid');
}
