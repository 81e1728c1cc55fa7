// Making elements. Whatever text comes in goes in as text.

/** @param {string} id @returns {any} */
export const byID = (id) => document.getElementById(id);

/**
 * An HTML element: `h('p', { class: 'note' }, 'text', child)`.
 * @param {string} tag
 * @param {Object<string, any>} [attributes] functions become listeners, undefined and false are left out
 * @param {...(Node|string|number|undefined)} children
 * @returns {any}
 */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. @type {typeof h} */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

/** @param {Element} element @param {Object<string, any>} attributes @param {any[]} children */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value); // onclick
    else if (value === true) element.setAttribute(name, '');
    else if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== undefined).map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

/** What waits for a burst to end, as drawing amid it would hold it up: ms. */
export const CALM = 80;

/**
 * Runs draw before the next frame, or the first after a while, however often it
 * is asked to meanwhile.
 * @param {() => void} draw
 * @param {number} [after] ms
 */
export function soon(draw, after = 0) {
  let due = false;
  const frame = () =>
    requestAnimationFrame(() => {
      due = false;
      draw();
    });
  return () => {
    if (due) return;
    due = true;
    if (after) setTimeout(frame, after);
    else frame();
  };
}

/** Milliseconds, with microseconds. @param {number|undefined} ms */
export function duration(ms) {
  if (ms === undefined) return '–';
  if (ms >= 10_000) return `${(ms / 1000).toFixed(2)} s`;
  return `${ms.toFixed(ms >= 1000 ? 1 : 3)} ms`;
}

/** @param {string} text @param {number} limit */
export const clip = (text, limit) => (text.length > limit ? `${text.slice(0, limit)}… (${text.length} characters)` : text);

/**
 * Lets the arrow keys go from one item of a list to the next, which so needs
 * one tab stop and not hundreds.
 * @param {HTMLElement} list @param {string} selector of what takes the focus in each item
 */
export function arrowKeys(list, selector) {
  list.addEventListener('keydown', (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const items = /** @type {HTMLElement[]} */ ([...list.querySelectorAll(selector)]);
    const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    items[Math.min(Math.max(at + step, 0), items.length - 1)]?.focus();
  });
}
