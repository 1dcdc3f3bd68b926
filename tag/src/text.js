// JSON text without JSON: pages do overwrite JSON.stringify, or give arrays a toJSON (Prototype 1.6), and a sale must not depend on it.
// No method of Array.prototype is used anywhere in the tag for the same reason.

/** Leaves null, undefined, empty lists and inherited members out; control characters become spaces. Numbers become text, as the box reads
 *  a report, but where they stand `asIs`: in the metadata. */
export const encode = (value, asIs) => {
  if (typeof value != 'object')
    return value === !!value || (asIs && value === +value) ? '' + value : '"' + ('' + value).replace(/[\0-\x1f]/g, ' ').replace(/["\\]/g, '\\$&') + '"';
  const list = Array.isArray(value);
  let text = '';
  for (let [key, member] of Object.entries(value)) {
    if (member == null) continue;
    member =
      !asIs && key == 'quantity' ? encode(+member, 1) : encode(key == 'isTest' ? /^[gty1]/i.test(member) : member, asIs || key == 'metadata');
    if (member) text += (text && ',') + (list ? '' : encode(key) + ':') + member;
  }
  return list ? text && '[' + text + ']' : '{' + text + '}';
};
