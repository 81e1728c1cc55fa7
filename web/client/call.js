// A request on its way to exactly one outcome.

import { ParleyError, decodePayload, encodePayload, localError } from './wire.js';

const GRACE = 5_000; // ms that the gateway's own timeout may take to reach us
const QUEUE = 256; // requests that may wait for a socket, and the least that may be open
const RESENDS = 3; // how often a request is sent again by itself
const SAME = new Set(['$/attach', '$/subscribe', '$/unsubscribe']); // mean the same in whatever session
const SLEPT = 2_000; // a timer that is later than so much was held up with all else

/**
 * @typedef {object} RequestOptions
 * @property {string} [key] the record key; requests with one key stay in order
 * @property {string} [idempotencyKey] the request is made once, however often it is asked for under this key; it
 *   outlives the session
 * @property {number} [timeout] ms; the service's own if left out
 * @property {Object<string, string>} [headers] record headers, names in lower case
 * @property {number} [wait] of a view: ms for which the answer may come later, where there is no event yet, or none but
 *   that of `etag`. Then `meta.headers` has the next `etag`, and the result is null, with `meta.unchanged`, if there was none
 * @property {string} [until] of a view: a condition of the service's that is to be true of the event, else `timeout`
 * @property {string} [etag] of a view: `meta.headers.etag` of what the caller has
 * @property {string[]} [want] what the promise's `meta` is to have: `trace`, `headers`
 * @property {AbortSignal} [signal] cancels the request
 * @property {any} [note] what the events about the request bring back after a reload (JSON)
 * @property {(data: any, n: number) => void} [onPart] takes the parts of a streamed answer
 * @property {import('./stream.js').Credit} [credit] for how many parts the reader is ready: see `stream`
 * @property {(request: string) => void} [onAccepted] told when the request is safe in Kafka
 */

/**
 * What a caller holds. `meta` is there once it has settled.
 * @typedef {Promise<any> & {id: number, meta?: Object<string, any>, cancel: () => void}} Pending
 */

export class Call {
  sent = false;
  cancelled = false;
  /** The number of the socket that it was sent on. */ socket = 0;
  /** @type {Pending} */ promise;
  /** Surfaced so far. */ parts = 0;
  /** It means the same request in whatever session. */ repeats = false;

  #settled = false;
  #due = Infinity; // after that it is not sent again
  #resent = 0;
  /** @type {(result: any) => void} */ #resolve = () => {};
  /** @type {(error: ParleyError) => void} */ #reject = () => {};
  /** @type {RequestOptions} */ #options;
  /** @type {ReturnType<typeof setTimeout>|undefined} */ #timer;
  /** @type {() => void} */ #cancel;

  /**
   * @param {number} id
   * @param {string} service
   * @param {string} frame
   * @param {RequestOptions} options
   * @param {() => void} cancel what the caller's cancelling does
   */
  constructor(id, service, frame, options, cancel) {
    this.id = id;
    this.service = service;
    this.frame = frame;
    this.key = options.key;
    this.credit = options.credit;
    this.#options = options;
    this.#cancel = cancel;
    this.repeats = options.idempotencyKey !== undefined || SAME.has(service);
    /** @type {Promise<any>} */
    const promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.promise = Object.assign(promise, { id, meta: undefined, cancel });
  }

  /** Starts what may end the call from this side. @param {() => void} expired */
  watch(expired) {
    const { signal, timeout } = this.#options;
    signal?.addEventListener('abort', this.#cancel);
    // The gateway's own timeout is faster, unless there is no way to it.
    if (timeout) this.#expire(timeout + GRACE, expired);
    if (timeout) this.#due = Date.now() + timeout;
  }

  /** After a sleep, the outcome may be at the gateway: it gets the time to bring it. @param {number} after ms @param {() => void} expired */
  #expire(after, expired) {
    const due = Date.now() + after;
    this.#timer = setTimeout(() => (Date.now() - due > SLEPT ? this.#expire(GRACE, expired) : expired()), after);
  }

  /** What is left of it for the page after a reload. @returns {import('./memory.js').Left} */
  left() {
    return { id: this.id, service: this.service, parts: this.parts, note: this.#options.note };
  }

  /** @param {string} request its id within the gateway */
  accepted(request) {
    safely(() => this.#options.onAccepted?.(request));
  }

  /** Surfaces a part, unless a resumed session sends it again. @param {number} n @param {any} data */
  part(n, data) {
    if (n < this.parts) return;
    this.parts = n + 1;
    safely(() => this.#options.onPart?.(decodePayload(data), n));
  }

  /**
   * Whether the response says that the gateway certainly never got the request, and it
   * is to be sent again; not one of an earlier page, whose frame is gone.
   * @param {import('./wire.js').Message} response
   */
  again({ error }) {
    const lost = error?.data?.code === 'unknown_request' && error.data.outcome === 'not_sent';
    return lost && this.frame !== '' && !this.cancelled && Date.now() < this.#due && this.#resent++ < RESENDS;
  }

  /**
   * Whether it may come after a later one with its key, sent again on a socket. The gateway
   * says what it never got before it reads anything else from a new socket, so only what was
   * sent on that one, or on one in between, can be ahead.
   * @param {number} socket
   * @param {Iterable<Call>} open
   */
  overtaken(socket, open) {
    if (this.key === undefined) return false;
    const later = (/** @type {Call} */ { id, key, socket: on }) => id > this.id && key === this.key && on === socket;
    return this.socket + 1 < socket || [...open].some(later);
  }

  /** @param {import('./wire.js').Message} response */
  answer(response) {
    this.promise.meta = response.meta;
    if (response.error) this.fail(new ParleyError(response.error));
    else if (this.#settle()) this.#resolve(decodePayload(response.result));
  }

  /** @param {ParleyError} error */
  fail(error) {
    if (this.#settle()) this.#reject(error);
  }

  /**
   * Ends the call from this side, with what is true of it.
   * @param {Parameters<typeof localError>[0]} word
   * @param {string} why
   */
  giveUp(word, why) {
    this.fail(localError(word, this.sent ? 'unknown' : 'not_sent', why));
  }

  #settle() {
    if (this.#settled) return false;
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#options.signal?.removeEventListener('abort', this.#cancel);
    return true;
  }
}

/**
 * Why a request cannot even begin.
 * @param {RequestOptions} options
 * @param {string} state the client's
 * @param {number} [most] that the gateway lets be open
 * @param {number} [open] that are
 */
export function refuse({ signal }, state, most = 0, open = 0) {
  if (signal?.aborted) return localError('cancelled', 'not_sent', 'the signal had been aborted');
  if (state === 'closed') return localError('session_gone', 'not_sent', 'the client is closed');
  const limit = state === 'open' ? Math.max(QUEUE, most) : QUEUE;
  if (open >= limit) return localError('overloaded', 'not_sent', `${limit} requests are open`);
}

/**
 * The frame of a request; of a notification, if id is undefined.
 * @param {number|undefined} id
 * @param {string} service
 * @param {unknown} params
 * @param {RequestOptions} options
 */
export function requestFrame(id, service, params, { key, idempotencyKey, timeout, wait, until, etag, headers, want, credit }) {
  const meta = { key, idempotencyKey, timeout, wait, until, etag, headers, want, credit: credit?.window };
  const asks = Object.values(meta).some((part) => part !== undefined);
  return JSON.stringify({ jsonrpc: '2.0', id, method: service, params: encodePayload(params), meta: asks ? meta : undefined });
}

/** Calls a handler of the application's, whose errors are its own. @param {() => void} handler */
function safely(handler) {
  try {
    handler();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
