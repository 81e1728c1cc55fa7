// One socket after another: a link comes back when its socket is lost.

import { afterClose } from './wire.js';

const BACKOFF_FIRST = 500; // all in milliseconds
const PROMPTLY = 100; // the longest wait before a try at once
const PROMPT_TRIES = 3; // of these at most
const BACKOFF_LONGEST = 20_000;
const STEADY = 30_000; // up for so long, the next loss is a first one again
const CROWDED = 10_000; // the least to wait where the gateway has too much to do
const WELCOME = 10_000; // from opening a socket to the gateway's welcome
const QUIET = 25_000; // without a frame, before asking whether anyone is there
const PONG = 10_000; // to answer that
const DOUBT = 500; // without a frame since a request was sent, before asking the same: no more are sent meanwhile
const AWAKE = 3_000; // to answer it where the socket is suspected of being dead

// After these the next socket is another node's, if we know one: it is gone, it
// ends, or it has too much to do. Other closes say nothing about the node.
const ELSEWHERE = new Set([1001, 1006, 1011, 1012, 1013]);

/**
 * Who uses a link. `opened` is a new socket: say hello, then call `established`
 * once the gateway has answered. `closed` is told of every lost socket, and in
 * how many milliseconds the next one comes: undefined for never.
 * @typedef {object} Host
 * @property {() => void} connecting
 * @property {() => void} opened
 * @property {(text: string) => void} received
 * @property {() => void} trusted the socket was in doubt, and is not any longer: requests may be sent
 * @property {(code: number, reason: string, next: import('./wire.js').Next, delay?: number) => void} closed
 * @property {() => boolean} canRenewToken
 */

export class Link {
  /** @type {string[]} of nodes of one gateway */ #urls;
  /** Which of them is used. */ #at = 0;
  /** @type {typeof WebSocket} */ #WebSocket;
  /** @type {Host} */ #host;
  /** @type {WebSocket|undefined} the one in use; events of others are ignored */ #socket;
  /** Tries at once since a socket was steady. */ #prompt = 0;
  /** Sockets lost in a row, besides those. */ #losses = 0;
  /** The newest token was refused, and no socket welcomed since. */ #refused = false;
  /** @type {number|undefined} when the socket was welcomed */ #since;
  /** @type {number|undefined} when the first request was sent since the newest frame */ #owed;
  /** It was asked whether anyone is there, and there was no frame since. */ #asks = false;
  /** @type {ReturnType<typeof setTimeout>|undefined} the next socket */ #retry;
  /** @type {ReturnType<typeof setTimeout>|undefined} the end of our patience */ #watchdog;

  /**
   * @param {string[]} urls
   * @param {typeof WebSocket} Socket
   * @param {Host} host
   */
  constructor(urls, Socket, host) {
    this.#urls = urls;
    this.#WebSocket = Socket;
    this.#host = host;
  }

  get url() {
    return this.#urls[this.#at];
  }

  /** From now on uses the node at this address, which takes the present one's place in the list where it is new. @param {string} url */
  use(url) {
    const known = this.#urls.indexOf(url);
    if (known < 0) this.#urls[this.#at] = url;
    else this.#at = known;
  }

  /** From now on uses the next node of the list. */
  useNext() {
    this.#at = (this.#at + 1) % this.#urls.length;
  }

  /** Opens a socket at once, in place of the present one. */
  open() {
    this.#drop();
    this.#host.connecting();
    const socket = new this.#WebSocket(this.url, ['parley.v1']);
    this.#socket = socket;
    socket.onopen = () => socket === this.#socket && this.#host.opened();
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      const doubtful = this.#doubtful;
      if (this.#since !== undefined) this.#listen();
      this.#host.received(data);
      if (doubtful && socket === this.#socket) this.#host.trusted();
    };
    socket.onclose = ({ code, reason }) => socket === this.#socket && this.#lost(code, reason);
    this.#watch(WELCOME, () => this.#lost(1006, 'no welcome in time'));
  }

  /** Opens a socket now if one is due later; asks whether anyone is there, if one is open. */
  check() {
    if (this.#retry !== undefined) this.open();
    else if (this.#since !== undefined) this.#ask(AWAKE);
  }

  /** The gateway has welcomed us. */
  established() {
    this.#since = Date.now();
    this.#refused = false;
    this.#listen();
  }

  /** @param {string} text @returns {boolean} whether there was a socket to write to */
  send(text) {
    if (this.#socket?.readyState !== 1) return false;
    this.#socket.send(text);
    return true;
  }

  /**
   * Sends a request, unless it would be lost with others, and perhaps nobody could say so for certain: where the gateway
   * has not answered for a while, a request waits until it says something.
   * @param {string} text @returns {boolean} whether it was written to a socket
   */
  request(text) {
    if (this.#doubtful || !this.send(text)) return false;
    if (this.#owed === undefined) {
      this.#owed = Date.now();
      if (!this.#asks) this.#watch(DOUBT, () => this.#ask(PONG));
    }
    return true;
  }

  get #doubtful() {
    return this.#owed !== undefined && Date.now() - this.#owed >= DOUBT;
  }

  /** What has been sent and is still here, in bytes. */
  get backlog() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  /** Closes the socket for good. The host is not told. */
  stop() {
    this.#drop();
  }

  #drop() {
    clearTimeout(this.#retry);
    clearTimeout(this.#watchdog);
    const socket = this.#socket;
    this.#retry = this.#socket = this.#since = this.#owed = undefined;
    this.#asks = false;
    socket?.close(1000);
  }

  /** @param {number} code @param {string} reason */
  #lost(code, reason) {
    if (this.#since !== undefined && Date.now() - this.#since >= STEADY) this.#prompt = this.#losses = 0;
    this.#drop();
    if (ELSEWHERE.has(code)) this.useNext();
    let next = afterClose(code);
    // The same token would be refused again, and another one after that as well.
    if (next === 'token' && (this.#refused || !this.#host.canRenewToken())) next = 'stop';
    this.#refused ||= next === 'token';
    if (next === 'stop') return this.#host.closed(code, reason, next);

    const delay = this.#pause(code, next);
    this.#retry = setTimeout(() => this.open(), delay);
    this.#host.closed(code, reason, next, delay);
  }

  /**
   * A socket that has died without a word says that its node may be gone, and nothing of the others: each is tried once,
   * almost at once. Then full jitter: many clients that lose the same node do not come back together.
   * @param {number} code @param {string} next
   */
  #pause(code, next) {
    if (code === 1006 && this.#losses === 0 && this.#prompt < Math.min(this.#urls.length, PROMPT_TRIES)) {
      this.#prompt++;
      return Math.random() * PROMPTLY;
    }
    const ceiling = Math.min(BACKOFF_LONGEST, BACKOFF_FIRST * 2 ** this.#losses++);
    return Math.random() * ceiling + (next === 'later' ? CROWDED : 0);
  }

  /** Expects another frame: a browser is not told of a peer that has silently gone. */
  #listen() {
    this.#owed = undefined;
    this.#asks = false;
    this.#watch(QUIET, () => this.#ask(PONG));
  }

  /** @param {number} patience ms */
  #ask(patience) {
    this.#asks = true;
    this.send('{"jsonrpc":"2.0","method":"$/ping"}');
    this.#watch(patience, () => this.#lost(1006, 'no answer to a ping'));
  }

  /** @param {number} patience ms @param {() => void} over what is done then, unless something else is to be by then */
  #watch(patience, over) {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(over, patience);
  }
}

/** @param {string|URL} url */
export function socketURL(url) {
  const absolute = new URL(url, globalThis.location?.href);
  absolute.protocol = absolute.protocol.replace(/^http/, 'ws');
  return absolute.href;
}
