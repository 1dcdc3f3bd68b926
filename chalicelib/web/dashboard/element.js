// Builds elements. Text is always a text node: nothing that comes from outside is ever read as HTML.

/** el('a', { href, class: 'x', onclick: fn, hidden: false }, 'text', child, null) */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** A drawing: the same in SVG's namespace. */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export const byId = (id) => document.getElementById(id);

/** Writes text only where it differs, so that a poll that brings nothing new touches nothing. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Tells a screen reader, without moving the focus. */
export function say(text) {
  byId('said').textContent = text;
}

/** A button that copies `text()`. It says whether that worked. */
export function copyButton(text, label = 'Copy', what = '') {
  const button = el('button', { type: 'button', class: 'copy', 'aria-label': what ? `${label} ${what}` : null }, label);
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = 'Copied';
      say(`${what || 'Text'} copied`);
    } catch {
      button.textContent = 'Select it by hand';
    }
    setTimeout(() => { button.textContent = label; }, 2000);
  });
  return button;
}
