// The raw frames of the socket, both directions.

import { CALM, arrowKeys, byID, clip, h, soon } from './dom.js';

/** @typedef {{direction: 'in'|'out', text: string, at: Date}} Frame */

const KEPT = 300;
const LONGEST = 20_000; // characters shown of a frame

export class Frames {
  /** @type {Frame[]} to be shown with the next drawing, oldest first */ #fresh = [];
  #seen = 0;
  #paused = false;
  #list = byID('frames');
  #draw = soon(() => this.#render(), CALM);

  constructor() {
    arrowKeys(this.#list, 'summary');
    byID('frames-pause').addEventListener('click', () => this.#pause());
    byID('frames-clear').addEventListener('click', () => this.#clear());
    this.#render();
  }

  /** @param {'in'|'out'} direction @param {string} text */
  add(direction, text) {
    this.#seen++;
    if (!this.#paused) this.#fresh.push({ direction, text, at: new Date() });
    if (this.#fresh.length > KEPT) this.#fresh.shift();
    this.#draw();
  }

  #pause() {
    this.#paused = !this.#paused;
    byID('frames-pause').setAttribute('aria-pressed', String(this.#paused));
    byID('frames-pause').textContent = this.#paused ? 'Resume' : 'Pause';
  }

  #clear() {
    this.#fresh = [];
    this.#seen = 0;
    this.#list.replaceChildren();
    this.#draw();
  }

  #render() {
    this.#list.prepend(...this.#fresh.reverse().map(row));
    this.#fresh = [];
    while (this.#list.children.length > KEPT) this.#list.lastElementChild.remove();
    byID('frames-count').textContent = this.#seen > KEPT ? `last ${KEPT} of ${this.#seen}` : String(this.#seen || '');
  }
}

/** A frame on one line, and with indentation when it is opened. @param {Frame} frame */
function row({ direction, text, at }) {
  const shown = clip(hideSecrets(text), LONGEST);
  const time = at.toISOString().slice(11, 23);
  const whole = h('pre', {});
  const open = () => (whole.textContent = pretty(shown));
  return h('li', { class: direction }, h('details', { ontoggle: open },
    h('summary', { tabindex: -1 }, h('b', { class: 'arrow', title: direction === 'out' ? 'sent' : 'received' }, direction === 'out' ? '→' : '←'),
      h('time', { title: 'UTC' }, time), h('code', {}, shown.slice(0, 300))), whole));
}

/** @param {string} text */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** A session's secret is for its client alone, not for the audience. @param {string} text */
const hideSecrets = (text) => text.replace(/("(?:secret|token)":")[^"]+"/g, '$1…"');
