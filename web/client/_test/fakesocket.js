// A WebSocket without a network, whose other end is the test.

/** All sockets that were made, oldest first. @type {FakeSocket[]} */
export const sockets = [];

export class FakeSocket {
  readyState = 0;
  /** @type {any[]} what the client has sent and the test has not yet taken */ sent = [];
  /** @type {any} */ onopen;
  /** @type {any} */ onmessage;
  /** @type {any} */ onclose;

  /** @param {string} url @param {string[]} protocols */
  constructor(url, protocols) {
    Object.assign(this, { url, protocols });
    sockets.push(this);
  }

  /** @param {string} text */
  send(text) {
    this.sent.push(JSON.parse(text));
  }

  /** The client's closing: the test decides when that is seen. */
  close() {
    this.readyState = 3;
  }

  // The gateway's part.

  /** Takes what was sent since. */
  take() {
    return this.sent.splice(0);
  }

  open() {
    this.readyState = 1;
    this.onopen?.({});
  }

  /** @param {object} message */
  push(message) {
    this.onmessage?.({ data: JSON.stringify({ jsonrpc: '2.0', ...message }) });
  }

  /** Opens and welcomes; answers the hello. @param {object} [welcome] */
  welcome(welcome) {
    this.open();
    const [hello] = this.take();
    this.push({ method: '$/welcome', params: { session: 's', secret: 'x', node: 'a', resumed: false, limits: { frame: 1000, resume: 120_000 }, ...welcome } });
    return hello;
  }

  /** @param {number} code @param {string} [reason] */
  lose(code, reason = '') {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }
}
