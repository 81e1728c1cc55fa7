// The client of a Parley gateway: requests of Kafka services over a WebSocket.
//
//   import { connect } from './parley.js';
//
//   const client = connect('wss://example.org/ws');
//   const order = await client.request('orders', { customer: 'c-1', items: [] });
//
// A client is a session, and outlives its sockets: when one is lost the next
// resumes the session, and a request that is open stays so. What it sends and
// gets is described in the gateway's ws/doc.go. Given several nodes, it goes to
// another when its own is gone; given a storage, it outlives a reload too:
//
//   const client = connect(['wss://a.example/ws', 'wss://b.example/ws'], { storage: sessionStorage });
//   client.addEventListener('orphan', ({ detail }) => show(detail.note, detail.result));

import { Acks } from './acks.js';
import { Call, refuse, requestFrame } from './call.js';
import { Link, socketURL } from './link.js';
import { Memory } from './memory.js';
import { read, restate } from './stream.js';
import { Feeds } from './subscribe.js';
import { watchWake } from './wake.js';
import { ParleyError, localError, message, parse } from './wire.js';

export { ParleyError };

const BACKLOG = 1 << 20; // bytes that may wait in a socket before notifications are lost

/** @typedef {import('./options.js').ConnectOptions} ConnectOptions */
/** @typedef {import('./call.js').RequestOptions} RequestOptions */

/**
 * Connects to a gateway's /ws. It returns at once: requests wait for the socket.
 * @param {string|URL|(string|URL)[]} url ws, wss, http or https; in a page it may be relative. Of several nodes of
 *   one gateway, the first is used until it is gone, or ends, or has too much to do
 * @param {ConnectOptions} [options]
 */
export function connect(url, options) {
  return new Client(url, options);
}

/**
 * A session with a gateway. Its events, each with a `detail`:
 *
 * - `state` {state, delay}: `connecting`, `open`, `waiting` (for `delay` ms) or `closed`
 * - `welcome` {session, node, resumed, limits}
 * - `close` {code, reason, next}: a socket was lost
 * - `push` {topic, key, event, data}: an event, whoever subscribed to it; see `subscribe`
 * - `goaway` {reconnect, deadline}: the node drains; the client moves by itself
 * - `restored` {requests: {id, service, note}[]}: the session of the page before a
 *   reload goes on, with these open requests
 * - `orphan` {id, service, note, result | error, meta}: the outcome of one of these, which
 *   no promise waits for; {id, service, note, part, data}: a part of its streamed answer
 * - `frame` {direction, text}: everything that is sent (`out`) and received (`in`)
 */
export class Client extends EventTarget {
  state = 'connecting';
  /** The session's id; empty before the first welcome. */ session = '';
  /** The node that serves us. */ node = '';
  /** @type {{frame?: number, open?: number, resume?: number}} */ limits = {};

  /** @type {ConnectOptions} */ #options;
  /** @type {Link} */ #link;
  /** @type {Map<number, Call>} those without an outcome, in the order of their making */ #open = new Map();
  #acks = new Acks((seq) => {
    this.#memory?.settle(); // nobody may ask for what is acknowledged: the gateway forgets it
    return this.#send(message('$/ack', { seq }));
  });
  #feeds = new Feeds((method, params) => this.request(method, params));
  #secret = '';
  #lastID = 0;
  #hellos = 0;
  #sockets = 0; // that were welcomed
  #lostAt = 0;
  /** @type {ReturnType<typeof setTimeout>|undefined} */ #leaving;
  /** @type {Memory|undefined} */ #memory;
  #unwatch;

  /** @param {string|URL|(string|URL)[]} url @param {ConnectOptions} [options] */
  constructor(url, options = {}) {
    super();
    this.#options = options;
    if (options.storage) this.#remember(options.storage, options.storageKey ?? 'parley');
    this.#link = new Link((Array.isArray(url) ? url : [url]).map(socketURL), options.WebSocket ?? WebSocket, {
      connecting: () => this.#become('connecting'),
      opened: () => this.#hello(),
      received: (text) => this.#receive(text),
      trusted: () => this.#transmitAll(),
      closed: (code, reason, next, delay) => this.#closed(code, reason, next, delay),
      canRenewToken: () => typeof options.token === 'function',
    });
    this.#unwatch = watchWake(() => this.#link.check());
    this.#link.open();
  }

  /** The address of the node that is used, or will be next. */
  get url() {
    return this.#link.url;
  }

  /**
   * Makes a request of a service. The promise settles exactly once: with the
   * service's answer, or with a ParleyError. A Uint8Array travels as bytes.
   * Cancelling is a plea: the outcome is `cancelled`, or a reply that was faster.
   * @param {string} service
   * @param {unknown} [params]
   * @param {RequestOptions} [options]
   * @returns {import('./call.js').Pending}
   */
  request(service, params, options = {}) {
    const id = ++this.#lastID;
    const call = new Call(id, service, requestFrame(id, service, params, options), options, () => this.#cancel(call));
    const refusal = refuse(options, this.state, this.limits.open, this.#open.size);
    if (refusal) {
      call.fail(refusal);
      return call.promise;
    }
    this.#open.set(id, call);
    this.#memory?.changed(id);
    call.watch(() => this.#giveUp(call, 'timeout', 'no answer in time'));
    if (this.state === 'open') this.#transmit(call);
    return call.promise;
  }

  /**
   * Makes a request that is answered in parts: `for await (const part of client.stream(…))`.
   * @param {string} service @param {unknown} [params]
   * @param {import('./stream.js').StreamOptions} [options]
   */
  stream(service, params, { window, ...options } = {}) {
    return read((more) => this.request(service, params, { ...options, ...more }), (id) => this.#give(this.#open.get(id)), window);
  }

  /** Has the events of a topic with a record key pushed, or all of them: `for await (const { data } of …)`. @param {string} topic @param {string} [key] */
  subscribe(topic, key) {
    return this.#feeds.subscribe(topic, key);
  }

  /** Collects a request that was made elsewhere, by its id within the gateway. @param {string} request @param {RequestOptions} [options] */
  attach(request, options) {
    return this.request('$/attach', { request }, options);
  }

  /**
   * Sends a request that nobody answers. It is lost where there is no socket, or one
   * that cannot keep up.
   * @param {string} service
   * @param {unknown} [params]
   * @param {Pick<RequestOptions, 'key'|'headers'>} [options]
   * @returns {boolean} whether it was written to a socket
   */
  notify(service, params, options = {}) {
    return this.state === 'open' && this.#link.backlog < BACKLOG && this.#send(requestFrame(undefined, service, params, options));
  }

  /** Cancels an open request by its id: one that an earlier page made. @param {number} id */
  cancel(id) {
    const call = this.#open.get(id);
    if (call) this.#cancel(call);
  }

  /** Resumes on a new socket, at once; on another node, if url is its. @param {string|URL} [url] */
  reconnect(url) {
    if (this.state === 'closed') return;
    this.#acks.flush();
    this.#left();
    if (url !== undefined) this.#link.use(socketURL(url));
    this.#link.open();
  }

  /** Ends the session. What is open rejects as `cancelled`. */
  close() {
    if (this.state === 'closed') return;
    this.#acks.flush();
    this.#send(message('$/bye'));
    this.#end('cancelled', 'the client was closed');
  }

  // Sockets and sessions.

  async #hello() {
    const hello = ++this.#hellos;
    if (this.#memory?.restoring) await this.#memory.restoring;
    let { token } = this.#options;
    try {
      if (typeof token === 'function') token = await token();
    } catch {
      return; // no welcome will come, so that the link tries again
    }
    if (hello !== this.#hellos) return; // the socket was lost meanwhile
    const sent = [...this.#open.values()].filter((call) => call.sent);
    const streams = restate(sent);
    const left = { open: sent.map((call) => call.id), streams: streams.length > 0 ? streams : undefined };
    const resume = this.#secret ? { session: this.session, secret: this.#secret, ...left } : undefined;
    this.#send(message('$/hello', { token, resume, accepted: true }));
  }

  /** @param {{session: string, secret: string, node: string, resumed: boolean, limits?: object}} welcome */
  #welcome({ session, secret, node, resumed, limits = {} }) {
    if (!resumed) this.#forget('the session could not be resumed');
    Object.assign(this, { session, node, limits });
    this.#secret = secret;
    this.#memory?.claim(session);
    this.#memory?.save();
    this.#link.established();
    this.#sockets++;
    if (!resumed) this.#feeds.renew();
    this.#become('open');
    this.#emit('welcome', { session, node, resumed, limits });
    for (const call of this.#open.values()) {
      if (!call.sent) this.#transmit(call);
      else if (call.cancelled) this.#send(message('$/cancel', { id: call.id }));
      else this.#give(call);
    }
  }

  /** Expects nothing more of the session: what can be is asked for again. @param {string} why */
  #forget(why) {
    this.#secret = '';
    for (const call of this.#open.values()) {
      if (call.repeats && call.frame) call.sent = false;
      else if (call.sent) this.#giveUp(call, 'session_gone', why);
    }
  }

  /** Forgets what belongs to the socket that was left or lost. */
  #left() {
    this.#hellos++;
    this.#acks.reset();
    clearTimeout(this.#leaving);
    if (this.state === 'open') this.#lostAt = Date.now();
  }

  /** @param {number} code @param {string} reason @param {string} next @param {number} [delay] */
  #closed(code, reason, next, delay) {
    this.#left();
    this.#emit('close', { code, reason, next });
    if (this.state === 'closed') return; // a listener's doing
    if (code === 4401 && next === 'stop') return this.#end('unauthorized', `the gateway refuses the token: ${reason}`);
    if (next === 'stop') return this.#end('session_gone', reason || `the gateway closed the socket (${code})`);
    const expired = Date.now() - this.#lostAt > (this.limits.resume ?? Infinity);
    if (expired || next === 'renew') this.#forget('the session has expired');
    this.#become('waiting', delay);
  }

  /** @param {'cancelled'|'session_gone'|'unauthorized'} word @param {string} why */
  #end(word, why) {
    this.#left();
    this.#link.stop();
    this.#unwatch();
    this.#memory?.forget();
    for (const call of this.#open.values()) this.#giveUp(call, word, why);
    this.#feeds.end(localError(word, 'not_sent', why));
    this.#become('closed');
  }

  /** Moves at a random moment, as the node that drains asks. @param {{reconnect?: [number, number]}} params */
  #goaway(params) {
    const [from, to] = params.reconnect ?? [0, 0];
    clearTimeout(this.#leaving);
    const leave = () => {
      this.#link.useNext();
      this.reconnect();
    };
    this.#leaving = setTimeout(leave, from + Math.random() * (to - from));
    this.#emit('goaway', params);
  }

  // Reloads.

  /** @param {import('./memory.js').Store} storage @param {string} key */
  #remember(storage, key) {
    const open = () => [...this.#open.values()].filter((call) => call.sent).map((call) => call.left());
    this.#memory = new Memory(storage, key, {
      entry: () => ({ session: this.session, secret: this.#secret, used: this.#lastID, open: open() }),
      restored: (left) => this.#restored(left),
      leaving: () => this.#acks.flush(),
      lost: () => this.#end('session_gone', 'another tab goes on with the session'),
    });
    this.#lastID = this.#memory.used;
  }

  /** Goes on with what an earlier page left. @param {import('./memory.js').Entry} left */
  #restored({ session, secret, open }) {
    this.session = session;
    this.#secret = secret;
    for (const request of open) this.#adopt(request);
    this.#emit('restored', { requests: open.map(({ id, service, note }) => ({ id, service, note })) });
  }

  /** @param {import('./memory.js').Left} request */
  #adopt({ id, service, note, parts }) {
    const about = { id, service, note };
    const onPart = (/** @type {any} */ data, /** @type {number} */ part) => this.#emit('orphan', { ...about, part, data });
    const call = new Call(id, service, '', { note, onPart }, () => this.#cancel(call));
    call.sent = true;
    call.parts = parts;
    this.#open.set(id, call);
    call.promise.then(
      (result) => this.#emit('orphan', { ...about, result, meta: call.promise.meta }),
      (error) => this.#emit('orphan', { ...about, error, meta: call.promise.meta }),
    );
  }

  // Requests.

  /** @param {Call} call */
  #transmit(call) {
    const limit = this.limits.frame ?? Infinity;
    if (call.frame.length * 3 > limit && new TextEncoder().encode(call.frame).length > limit) {
      this.#giveUp(call, 'too_large', `the gateway takes ${limit} bytes a frame`); // it would close the socket
    } else {
      call.sent = this.#link.request(call.frame);
      call.socket = this.#sockets;
      if (call.sent) this.#emit('frame', { direction: 'out', text: call.frame });
    }
  }

  /** Sends what waits, in order. */
  #transmitAll() {
    for (const call of this.#open.values()) if (!call.sent) this.#transmit(call);
  }

  /** @param {Call} call */
  #cancel(call) {
    if (call.cancelled || !this.#open.has(call.id)) return;
    call.cancelled = true;
    if (!call.sent) this.#giveUp(call, 'cancelled', 'cancelled before it was sent');
    else if (this.state === 'open') this.#send(message('$/cancel', { id: call.id }));
  }

  /** Says for how many more parts a stream is ready; without a socket, the next hello does. @param {Call} [call] */
  #give(call) {
    const n = this.state === 'open' && call?.sent && call.credit?.owed();
    if (call && n) this.#send(message('$/credit', { id: call.id, n }));
  }

  /** @param {Call} call @param {Parameters<Call['giveUp']>[0]} word @param {string} why */
  #giveUp(call, word, why) {
    this.#settled(call.id);
    call.giveUp(word, why);
  }

  // Messages.

  /** @param {string} text */
  #receive(text) {
    this.#emit('frame', { direction: 'in', text });
    const received = parse(text);
    if (!received) return;
    this.#handle(received);
    if (received.seq) this.#acks.got(received.seq);
  }

  /** @param {import('./wire.js').Message} message */
  #handle(message) {
    const { method, params } = message;
    switch (method) {
      case undefined:
        return this.#answer(message);
      case '$/welcome':
        return this.#welcome(params);
      case '$/accepted':
        return this.#open.get(params.id)?.accepted(params.request);
      case '$/reply':
        return this.#open.get(params.id)?.part(params.n, params.data);
      case '$/push':
        this.#feeds.take(params);
        return this.#emit('push', params);
      case '$/goaway':
        return this.#goaway(params);
    }
  }

  /** @param {import('./wire.js').Message} response */
  #answer(response) {
    const id = Number(response.id);
    const call = this.#open.get(id); // none: a duplicate, whose outcome has been surfaced
    if (!call || (call.repeats && response.error?.data?.code === 'session_gone')) return; // it is made again
    if (call.again(response) && !call.overtaken(this.#sockets, this.#open.values())) return this.#transmit(call);
    this.#settled(id);
    call.answer(response);
  }

  /** @param {number} id */
  #settled(id) {
    this.#open.delete(id);
    this.#memory?.changed(id);
  }

  /** @param {string} text @returns {boolean} whether there was a socket */
  #send(text) {
    const sent = this.#link.send(text);
    if (sent) this.#emit('frame', { direction: 'out', text });
    return sent;
  }

  /** @param {string} state @param {number} [delay] */
  #become(state, delay) {
    this.state = state;
    this.#emit('state', { state, delay });
  }

  /** @param {string} type @param {object} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
