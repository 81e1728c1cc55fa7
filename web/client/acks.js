// Telling the gateway what has arrived on a socket: cumulatively, and not too often.

const AFTER = 250; // ms
const EVERY = 32; // messages

export class Acks {
  #newest = 0;
  #told = 0;
  /** @type {ReturnType<typeof setTimeout>|undefined} */ #timer;
  /** @type {(seq: number) => boolean} */ #send;

  /** @param {(seq: number) => boolean} send answers whether there was a socket to write to */
  constructor(send) {
    this.#send = send;
  }

  /** @param {number} seq everything up to it has arrived and was surfaced */
  got(seq) {
    this.#newest = seq;
    if (seq - this.#told >= EVERY) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), AFTER);
  }

  flush() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#newest > this.#told && this.#send(this.#newest)) this.#told = this.#newest;
  }

  /** Another socket counts from 1. */
  reset() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#newest = this.#told = 0;
  }
}
