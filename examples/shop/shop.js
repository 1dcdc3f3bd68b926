// The shop itself: wares, a cart kept in the browser, an order number. Affiliate tracking is in the pages, two lines each.
// Prices are whole cents; they become decimal strings where a person or the box reads them.
const WARES = {
  cup: { name: 'Morning cup', cents: 1800, text: 'Thin at the rim, heavy at the foot. Holds a proper cup of coffee and stays warm to the last sip.', shape: 'M60 52h80v62q0 34-40 34t-40-34z M140 66q34 0 34 26t-38 26' },
  bowl: { name: 'Serving bowl', cents: 4600, text: 'Wide enough for a salad that feeds six, glazed in the green of wet slate.', shape: 'M28 78h144q-4 72-72 72t-72-72z M78 150h44v10h-44z' },
  plates: { name: 'Four plates', cents: 10000, text: 'A set of four dinner plates, each thrown by hand and each a little different. They stack well anyway.', shape: 'M20 128h160l-22 16h-116z M24 108h152l-20 14h-112z M28 88h144l-18 14h-108z' },
  vase: { name: 'Tall vase', cents: 6400, text: 'For three branches and not a flower more. The iron in the clay shows through the white.', shape: 'M86 26h28v34q30 18 30 60t-28 42h-32q-28 0-28-42t30-60z' },
};

const euros = (cents) => `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`;
const stored = (key, otherwise) => { try { return JSON.parse(localStorage.getItem(key)) ?? otherwise; } catch { return otherwise; } };
const store = (key, value) => localStorage.setItem(key, JSON.stringify(value));

const cart = {
  lines: () => Object.entries(stored('cart', {})).filter(([id, count]) => WARES[id] && count > 0),
  add(id) { const all = stored('cart', {}); all[id] = (all[id] || 0) + 1; store('cart', all); },
  remove(id) { const all = stored('cart', {}); delete all[id]; store('cart', all); },
  empty: () => store('cart', {}),
  cents: () => cart.lines().reduce((sum, [id, count]) => sum + WARES[id].cents * count, 0),
  count: () => cart.lines().reduce((sum, [, count]) => sum + count, 0),
};

/** Turns the cart into an order with a number of its own; null when the cart is empty. */
function placeOrder() {
  const cents = cart.cents();
  if (!cents) return null;
  const number = [...crypto.getRandomValues(new Uint8Array(5))].map((byte) => (byte % 36).toString(36)).join('').toUpperCase();
  const order = { id: `B-${number}`, total: euros(cents), lines: cart.lines().map(([id, count]) => [WARES[id].name, count, euros(WARES[id].cents * count)]) };
  store('order', order);
  cart.empty();
  return order;
}

const picture = (ware) => `<svg viewBox="0 0 200 180" role="img" aria-label="${ware.name}"><path d="${ware.shape}" fill="var(--glaze-2)" stroke="var(--glaze-3)" stroke-width="5" stroke-linejoin="round"/></svg>`;

for (const place of document.querySelectorAll('.cart')) place.textContent = `Cart (${cart.count()})`;
