// What comes later - an answer of the box, a consent manager's word - brings everything up to date again: main.js says how.
export const stub = self.mtag;
/** The address at which the page was entered. */
export const landing = stub?.u || location.href;

export let settle;
export const settleBy = (how) => (settle = how);
