// The line to a node: connect, leave, move to another, drop the socket.

import { connect } from '/client/parley.js';

import { byID, h } from './dom.js';
import { token } from './token.js';

/** @typedef {{id?: string, url: string, self: boolean}} Node */

/** @type {WebSocket|undefined} */ let newest;

/** The browser's socket, within reach of whoever wants to see it die. */
class Socket extends WebSocket {
  /** @param {string|URL} url @param {string|string[]} [protocols] */
  constructor(url, protocols) {
    super(url, protocols);
    newest = this;
  }
}

const DROPPED = 4000; // a close code without a meaning: to the client, a socket that was lost

/** What happens to the session is told by the client's own events, passed on. */
const PASSED_ON = ['frame', 'state', 'close', 'welcome', 'restored', 'orphan'];

export class Connection extends EventTarget {
  /** @type {import('/client/parley.js').Client|undefined} */ client;
  /** @type {Node[]} */ #nodes;
  /** @type {Node} */ #node;
  /** @type {Map<Node, HTMLInputElement>} */ #inputs = new Map();

  /** @param {Node[]} nodes */
  constructor(nodes) {
    super();
    this.#nodes = nodes;
    this.#node = nodes.find((node) => node.self) ?? nodes[0];
    byID('nodes').append(...nodes.map((node) => this.#button(node)));
    byID('connect').addEventListener('click', () => (this.connected ? this.client?.close() : this.connect()));
    byID('drop').addEventListener('click', () => newest?.close(DROPPED, 'dropped by the page'));
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

  /** The session goes on at another node when ours is gone, and after a reload. */
  connect() {
    const inTurn = [this.#node, ...this.#nodes.filter((node) => node !== this.#node)];
    const client = connect(inTurn.map(socketOf), { storage: sessionStorage, WebSocket: Socket, token: shown });
    this.client = client;
    for (const type of PASSED_ON) {
      client.addEventListener(type, (event) => client === this.client && this.#heard(type, /** @type {CustomEvent} */ (event).detail));
    }
    this.#heard('state', { state: client.state });
  }

  /** @param {string} type @param {any} detail */
  #heard(type, detail) {
    if (type === 'state') this.#show(detail);
    if (type === 'welcome') this.#welcomed();
    if (type === 'close') byID('state').title = `${detail.code} ${detail.reason}`;
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** @param {Node} node */
  #use(node) {
    this.#node = node;
    if (this.connected) this.client?.reconnect(socketOf(node)); // the session goes with us
    else this.connect();
    this.dispatchEvent(new Event('node'));
  }

  #welcomed() {
    const client = /** @type {import('/client/parley.js').Client} */ (this.client);
    byID('node').textContent = client.node;
    byID('session').textContent = byID('session').title = client.session;
    const node = this.#nodes.find((node) => socketOf(node).href === client.url);
    if (!node) return;
    node.id ??= client.node;
    if (node === this.#node) return;
    this.#node = node;
    /** @type {HTMLInputElement} */ (this.#inputs.get(node)).checked = true;
    this.dispatchEvent(new Event('node'));
  }

  /** @param {{state: string, delay?: number}} detail */
  #show({ state, delay }) {
    const words = { connecting: 'connecting', open: 'open', waiting: `lost; again in ${((delay ?? 0) / 1000).toFixed(1)} s`, closed: 'not connected' };
    const element = byID('state');
    element.dataset.state = state;
    element.textContent = words[/** @type {keyof typeof words} */ (state)];
    byID('connect').textContent = state === 'closed' ? 'Connect' : 'Disconnect';
    byID('drop').disabled = state !== 'open';
    if (state === 'closed') byID('node').textContent = byID('session').textContent = '–';
  }

  /** @param {Node} node */
  #button(node) {
    const name = node.id ?? new URL(node.url).host;
    const input = h('input', { type: 'radio', name: 'node', value: name, checked: node === this.#node, onchange: () => this.#use(node) });
    this.#inputs.set(node, input);
    return h('label', { title: node.url }, input, h('span', {}, name));
  }
}

/** The token for a socket. An empty one is none. */
const shown = () => token() ?? '';

/** @param {Node} node */
function socketOf(node) {
  const url = new URL('/ws', node.url);
  url.protocol = url.protocol.replace('http', 'ws');
  return url;
}
