// Where the tag's own box is: read from the tag's own address, so the same bytes work behind any domain, stage prefix or CNAME.
export const { src } = document.currentScript;

export const box = src.replace(/(.attrace)?.libs.mtag.*/, '');

/** Loads the debug panel; import passes the nonce of the tag's own script on, so a strict CSP lets it through. */
export const debug = () => import(box + '/libs/mtag-debug.js');
