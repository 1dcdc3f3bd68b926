// JSON text without JSON: pages do overwrite JSON.stringify, or give arrays a toJSON (Prototype 1.6), and a sale must not depend on it.
// No method of Array.prototype is used anywhere in the tag for the same reason.
export const { isArray } = Array;

const quote = (text) =>
  '"' + text.replace(/["\\\x00-\x1f\ud800-\udfff]/g, (c) => '\\u' + (c.charCodeAt() + 65536).toString(16).slice(1)) + '"';

/** Leaves null, undefined and inherited members out. */
export const encode = (value) => {
  if (typeof value != 'object') return value === +value || value === !!value ? '' + value : quote('' + value);
  const list = isArray(value);
  let text = '';
  for (const key in value)
    if ({}.hasOwnProperty.call(value, key) && value[key] != null) text += ',' + (list ? '' : quote(key) + ':') + encode(value[key]);
  text = text.slice(1);
  return list ? '[' + text + ']' : '{' + text + '}';
};

/** 32 bits in base 36; not a secret. */
export const digest = (text) => {
  let hash = 1;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return (hash >>> 0).toString(36);
};
