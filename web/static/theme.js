// Dark, light, or as the system has it.

import { byID } from './dom.js';

const THEMES = ['system', 'light', 'dark'];
const SIGNS = { system: '◐', light: '○', dark: '●' };

let theme = localStorage.getItem('parley-theme') ?? 'system';

/** @param {string} next */
function use(next) {
  theme = THEMES.includes(next) ? next : 'system';
  document.documentElement.dataset.theme = theme;
  byID('theme').textContent = SIGNS[/** @type {keyof typeof SIGNS} */ (theme)];
  byID('theme').setAttribute('aria-label', `Theme: ${theme}`);
  byID('theme').title = `Theme: ${theme}`;
}

use(theme);
byID('theme').addEventListener('click', () => {
  use(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]);
  localStorage.setItem('parley-theme', theme);
});
