// The token that shows who asks, where the gateway wants to know: kept as long as the tab is.

import { byID } from './dom.js';

const KEY = 'parley-token';

/** What was entered; undefined for nothing. */
export const token = () => sessionStorage.getItem(KEY) || undefined;

/** How a request shows it. @returns {Object<string, string>} */
export function authorization() {
  const shown = token();
  return shown ? { authorization: `Bearer ${shown}` } : {};
}

/** Has it entered, where the gateway has `auth`. @param {boolean|undefined} auth @param {() => void} changed */
export function askForToken(auth, changed) {
  byID('bearer').hidden = !auth;
  const field = byID('token');
  field.value = token() ?? '';
  field.addEventListener('change', () => {
    const entered = field.value.trim().replace(/^bearer\s+/i, '');
    if (entered) sessionStorage.setItem(KEY, entered);
    else sessionStorage.removeItem(KEY);
    changed();
  });
}
