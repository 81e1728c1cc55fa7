// The line to a node: connect, leave, move to another.

import { connect } from '/client/parley.js';

import { byID, h } from './dom.js';

/** @typedef {{id?: string, url: string, self: boolean}} Node */

export class Connection extends EventTarget {
  /** @type {import('/client/parley.js').Client|undefined} */ client;
  /** @type {Node[]} */ #nodes;
  /** @type {Node} */ #node;

  /** @param {Node[]} nodes */
  constructor(nodes) {
    super();
    this.#nodes = nodes;
    this.#node = nodes.find((node) => node.self) ?? nodes[0];
    byID('nodes').append(...nodes.map((node) => this.#button(node)));
    byID('connect').addEventListener('click', () => (this.connected ? this.client?.close() : this.connect()));
  }

  get connected() {
    return this.client !== undefined && this.client.state !== 'closed';
  }

  /** The address of the node that we use. */
  get url() {
    return this.#node.url;
  }

  /** Its name, as far as we know it. */
  get nodeName() {
    return this.#node.id ?? this.client?.node ?? '?';
  }

  /** What the other nodes are called. */
  get others() {
    return this.#nodes.filter((node) => node !== this.#node).map((node) => node.id ?? new URL(node.url).host);
  }

  connect() {
    const client = connect(new URL('/ws', this.url));
    this.client = client;
    client.addEventListener('state', (event) => client === this.client && this.#show(/** @type {CustomEvent} */ (event).detail));
    client.addEventListener('welcome', () => this.#welcomed());
    client.addEventListener('close', (event) => this.#closed(/** @type {CustomEvent} */ (event).detail));
    client.addEventListener('frame', (event) => this.dispatchEvent(new CustomEvent('frame', { detail: /** @type {CustomEvent} */ (event).detail })));
    this.#show({ state: client.state });
  }

  /** @param {Node} node */
  #use(node) {
    this.#node = node;
    if (this.connected) this.client?.reconnect(new URL('/ws', node.url)); // the session goes with us
    else this.connect();
    this.dispatchEvent(new Event('node'));
  }

  #welcomed() {
    byID('node').textContent = this.client?.node;
    byID('session').textContent = this.client?.session;
    byID('session').title = this.client?.session;
  }

  /** @param {{state: string, delay?: number}} detail */
  #show({ state, delay }) {
    const words = { connecting: 'connecting', open: 'open', waiting: `lost; again in ${((delay ?? 0) / 1000).toFixed(1)} s`, closed: 'not connected' };
    const element = byID('state');
    element.dataset.state = state;
    element.textContent = words[/** @type {keyof typeof words} */ (state)];
    byID('connect').textContent = state === 'closed' ? 'Connect' : 'Disconnect';
    if (state === 'closed') byID('node').textContent = byID('session').textContent = '–';
  }

  /** @param {{code: number, reason: string}} detail */
  #closed({ code, reason }) {
    byID('state').title = `${code} ${reason}`;
  }

  /** @param {Node} node */
  #button(node) {
    const name = node.id ?? new URL(node.url).host;
    const input = h('input', { type: 'radio', name: 'node', value: name, checked: node === this.#node, onchange: () => this.#use(node) });
    return h('label', { title: node.url }, input, h('span', {}, name));
  }
}
