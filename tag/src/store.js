// First-party storage. Where it is blocked or full, a plain object takes its place and what it holds lives as long as the page.
import { config } from './config.js';

export let store = {};
try {
  store = localStorage || store;
} catch {}

export const put = (key, text) => {
  try {
    store[key] = text;
  } catch {
    (store = {})[key] = text;
  }
};

/** Writes the click's cookie (its value and how long it lasts) or, without text, reads them all. */
export const cookie = (text) => {
  try {
    if (text) {
      // One of this host's own, from before the cookie was domain-wide, would stand beside the new one and before it.
      document.cookie = 'mtag=;path=/;max-age=0';
      document.cookie = 'mtag=' + text + ';path=/;secure;samesite=lax;domain=' + (config.cookieDomain || '');
    }
    return document.cookie;
  } catch {}
};
