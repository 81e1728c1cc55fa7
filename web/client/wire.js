// What goes over the wire, and what it means: payloads, errors, close codes.

/**
 * @typedef {object} Message one JSON-RPC 2.0 message, from either side
 * @property {string} [method]
 * @property {string|number|null} [id]
 * @property {any} [params]
 * @property {any} [result]
 * @property {WireError} [error]
 * @property {number} [seq] counts what the gateway wants acknowledged on this socket
 * @property {Object<string, any>} [meta]
 */

/**
 * @typedef {object} WireError
 * @property {number} code
 * @property {string} message
 * @property {{code?: string, outcome?: Outcome, retry?: boolean} & Object<string, any>} [data]
 */

/**
 * What became of a request that ended in an error: it is not in Kafka and safe
 * to send again; nobody can say; or its service has answered it.
 * @typedef {'not_sent'|'unknown'|'done'} Outcome
 */

/** A message that is no request. @param {string} method @param {object} [params] */
export const message = (method, params) => JSON.stringify({ jsonrpc: '2.0', method, params });

/** The error words that a client makes itself, with their JSON-RPC numbers. */
const NUMBERS = {
  timeout: -32001,
  unauthorized: -32004,
  overloaded: -32002,
  too_large: -32006,
  cancelled: -32008,
  session_gone: -32011,
};

/** How a request ends that gets no result. */
export class ParleyError extends Error {
  /** @param {WireError} error */
  constructor({ code, message, data = {} }) {
    super(message);
    this.name = 'ParleyError';
    /** A stable word, such as `timeout`. */
    this.code = data.code ?? 'internal';
    /** The word's JSON-RPC number. */
    this.number = code;
    /** @type {Outcome} */
    this.outcome = data.outcome ?? 'unknown';
    /** Whether the same request may succeed later. */
    this.retry = data.retry ?? false;
    /** All that the gateway said: a service's own error, an example. */
    this.data = data;
  }
}

/**
 * The error of a request that ended on this side.
 * @param {keyof typeof NUMBERS} word
 * @param {Outcome} outcome
 * @param {string} message
 */
export function localError(word, outcome, message) {
  const retry = outcome === 'not_sent' && word !== 'too_large' && word !== 'cancelled' && word !== 'unauthorized';
  return new ParleyError({ code: NUMBERS[word], message, data: { code: word, outcome, retry } });
}

/**
 * A payload as params: bytes travel as base64, anything else as it is.
 * @param {unknown} payload
 */
export function encodePayload(payload) {
  if (!(payload instanceof Uint8Array)) return payload;
  let binary = '';
  for (let i = 0; i < payload.length; i += 0x8000) {
    binary += String.fromCharCode(...payload.subarray(i, i + 0x8000)); // as many as a call may have arguments
  }
  return { $bytes: btoa(binary) };
}

/**
 * The payload that a result or a part stands for.
 * @param {any} value
 */
export function decodePayload(value) {
  if (typeof value?.$bytes !== 'string' || Object.keys(value).length !== 1) return value;
  return Uint8Array.from(atob(value.$bytes), (c) => c.charCodeAt(0));
}

/**
 * What to do once a socket has closed: come back soon, come back later, come
 * back with a new token or without the old session, or stay away.
 * @typedef {'resume'|'later'|'token'|'renew'|'stop'} Next
 */

/** @type {Object<number, Next>} */
const NEXT = {
  1000: 'stop', // ended by us
  1003: 'stop', // a binary frame: a bug
  1007: 'stop', // bad UTF-8: a bug
  1009: 'stop', // a frame too big: a bug
  1013: 'later', // overloaded
  4400: 'stop', // bad frames: a bug
  4401: 'token', // the token is missing or has expired
  4403: 'stop', // forbidden
  4406: 'stop', // another subprotocol
  4409: 'stop', // another socket has taken the session over
  4410: 'renew', // the session is gone
  4429: 'later', // rate limited
};

/**
 * What a close code asks for. All that are not in the table (1006, 1011, 1012,
 * 4408, 4413…) end a socket and not its session.
 * @param {number} code
 * @returns {Next}
 */
export const afterClose = (code) => NEXT[code] ?? 'resume';

/** @param {string} text @returns {Message|undefined} */
export function parse(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === 'object' ? value : undefined;
  } catch {
    return undefined; // not from a gateway
  }
}
