// JSON text without JSON: pages do overwrite JSON.stringify, or give arrays a toJSON (Prototype 1.6), and a sale must not depend on it.
// No method of Array.prototype is used anywhere in the tag for the same reason.
export const { isArray } = Array;

/** Leaves null, undefined and inherited members out; control characters become spaces. */
export const encode = (value) => {
  if (typeof value != 'object')
    return value === +value || value === !!value ? '' + value : '"' + ('' + value).replace(/[\0-\x1f]/g, ' ').replace(/["\\]/g, '\\$&') + '"';
  const list = isArray(value);
  let text = '';
  for (const key of Object.keys(value)) if (value[key] != null) text += (text && ',') + (list ? '' : encode(key) + ':') + encode(value[key]);
  return list ? '[' + text + ']' : '{' + text + '}';
};

/** 63 bits in decimal. Not a secret: the same for the same text, and another one for another. */
export const digest = (text) => {
  let hash = 1n;
  for (const letter of text) hash = (hash * 65599n + BigInt(letter.charCodeAt())) % 10n ** 19n;
  return '' + hash;
};
