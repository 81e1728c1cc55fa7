// The requests that were made, newest first, to choose from.

import { arrowKeys, byID, duration, h, soon } from './dom.js';

/** @typedef {import('./journey.js').Journey} Journey */

const SHOWN = 100;

export class Past {
  /** @type {Journey[]} newest first */ #journeys = [];
  /** @type {Journey|undefined} */ #chosen;
  #list = byID('past');
  #choose;
  #draw = soon(() => this.#render());

  /** @param {(journey: Journey) => void} choose */
  constructor(choose) {
    this.#choose = choose;
    arrowKeys(this.#list, 'button');
    this.#render();
  }

  /** @param {Journey[]} journeys newest first @param {Journey|undefined} chosen */
  show(journeys, chosen) {
    this.#journeys = journeys.slice(0, SHOWN);
    this.#chosen = chosen;
    this.#draw();
  }

  #render() {
    const focused = /** @type {HTMLElement} */ (document.activeElement)?.dataset.number;
    if (this.#chosen && !this.#journeys.includes(this.#chosen)) this.#chosen = undefined;
    const rows = this.#journeys.map((journey) => this.#row(journey));
    this.#list.replaceChildren(...(rows.length ? rows : [h('li', { class: 'empty' }, 'None yet.')]));
    if (focused) this.#list.querySelector(`[data-number="${focused}"]`)?.focus();
  }

  /** @param {Journey} journey */
  #row(journey) {
    const chosen = journey === this.#chosen;
    const { outcome } = journey;
    const kind = outcome === 'waiting' || outcome === 'ok' ? outcome : 'bad';
    const attributes = { type: 'button', class: 'row', 'data-number': journey.number, 'aria-current': chosen ? 'true' : undefined, tabindex: chosen || (!this.#chosen && journey === this.#journeys[0]) ? 0 : -1 };
    return h('li', {}, h('button', { ...attributes, onclick: () => this.#choose(journey) },
      h('span', { class: 'number' }, journey.number), h('span', { class: 'service' }, journey.service),
      h('span', { class: 'door' }, journey.door === 'ws' ? 'ws' : 'http'), h('span', { class: `word ${kind}` }, outcome),
      journey.moved ? h('span', { class: 'path', 'data-path': 'moved' }, `${journey.node} → ${journey.nodeNow}`) : h('span', { class: 'path', 'data-path': journey.path }, journey.path ?? ''),
      h('span', { class: 'time' }, journey.ended === undefined ? '…' : duration(journey.latency))));
  }
}
