// The nodes as processes, where the gateway is `parley dev`: how each is, and
// buttons to kill it, to have it drain, and to start it again.

import { byID, h } from './dom.js';

/** @typedef {{id: string, state: 'starting'|'up'|'ending'|'down', why?: string}} Unit */

const CALM = 1000; // ms between looks
const BUSY = 250; // while something is about to change
const WORDS = { starting: 'starting', up: 'up', ending: 'ending', down: 'down' };

export class Fleet {
  /** @type {string} */ #control;
  /** @type {Map<string, {root: HTMLElement, word: HTMLElement, buttons: Object<string, HTMLButtonElement>}>} */ #units = new Map();
  /** What the person of this page did to nodes, by id. @type {Map<string, 'killed'|'stopped'>} */ #done = new Map();
  /** @type {ReturnType<typeof setTimeout>|undefined} */ #timer;

  /** @param {string|undefined} control its address; none: there are no buttons */
  constructor(control) {
    this.#control = control ?? '';
    if (!control) return;
    byID('fleet').hidden = false;
    document.addEventListener('visibilitychange', () => this.#look());
    this.#look();
  }

  /** What this page did to a node that is down or about to be. @param {string} id */
  fate(id) {
    return this.#done.get(id);
  }

  async #look() {
    clearTimeout(this.#timer);
    if (document.hidden) return;
    const units = await this.#call('/nodes');
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), units?.every(({ state }) => state === 'up' || state === 'down') ? CALM : BUSY);
  }

  /** @param {string} id @param {'kill'|'term'|'start'} verb */
  async #act(id, verb) {
    if (verb === 'start') this.#done.delete(id);
    else this.#done.set(id, verb === 'kill' ? 'killed' : 'stopped');
    await this.#call(`/nodes/${id}/${verb}`, { method: 'POST', headers: { 'content-type': 'application/json' } });
    this.#look();
  }

  /** @param {string} path @param {RequestInit} [init] @returns {Promise<Unit[]|undefined>} */
  async #call(path, init) {
    try {
      const response = await fetch(new URL(path, this.#control), init);
      const { nodes } = await response.json();
      nodes.forEach((/** @type {Unit} */ unit) => this.#show(unit));
      return nodes;
    } catch {
      return undefined; // parley dev has ended, or somebody else was faster with the button: the next look tells
    }
  }

  /** @param {Unit} unit */
  #show({ id, state, why }) {
    const { root, word, buttons } = this.#units.get(id) ?? this.#make(id);
    root.dataset.unit = state;
    word.textContent = WORDS[state] ?? state;
    word.title = why ?? '';
    buttons.kill.hidden = buttons.term.hidden = state === 'down';
    buttons.term.disabled = state === 'ending';
    buttons.start.hidden = state !== 'down';
    if (state === 'up') this.#done.delete(id);
  }

  /** @param {string} id */
  #make(id) {
    const button = (/** @type {'kill'|'term'|'start'} */ verb, /** @type {string} */ text, /** @type {string} */ title) =>
      h('button', { type: 'button', class: `quiet ${verb}`, title, 'aria-label': `${text} node ${id}`, onclick: () => this.#act(id, verb) }, text);
    const buttons = {
      kill: button('kill', 'Kill', 'kill -9: it has no chance to say anything'),
      term: button('term', 'Stop', 'SIGTERM: it drains, then ends'),
      start: button('start', 'Start again', 'A new process with the same name'),
    };
    const word = h('span', { class: 'unit-state', role: 'status' });
    const root = h('div', { class: 'unit', 'data-node': id }, h('b', {}, `node ${id}`), word, ...Object.values(buttons));
    byID('units').append(root);
    const made = { root, word, buttons };
    this.#units.set(id, made);
    return made;
  }
}
