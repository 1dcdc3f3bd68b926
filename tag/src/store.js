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

/** Writes a cookie or, without text, reads them all. */
export const cookie = (text) => {
  try {
    return text ? (document.cookie = text + ';path=/;secure;samesite=lax;domain=' + (config.cookieDomain || '')) : document.cookie;
  } catch {}
};
