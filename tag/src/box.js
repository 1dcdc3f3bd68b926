// Where the tag's own box is: read from the tag's own address, so the same bytes work behind any domain, stage prefix or CNAME.
const me = document.currentScript || document.querySelector('[src*="/libs/mtag"]');

export const box = me.src.replace(/(\/attrace)?\/libs\/mtag.*/, '');

/** Loads the debug panel; the page's nonce is passed on, so a strict CSP lets it through. */
export const debug = () => {
  const script = document.createElement('script');
  script.src = box + '/libs/mtag-debug.js';
  script.nonce = me.nonce;
  document.head.append(script);
};
