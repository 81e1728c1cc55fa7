// Events that no request asked for, as a loop takes them.

import { decodePayload } from './wire.js';

const WAITING = 1000; // events that may wait for a loop
const MEMORY = 1024; // events of each partition that a subscription knows to have had
const AGAIN = 1000; // ms before a subscription that cannot be made is tried again
const TRIES = 3; // how often it is tried where a lost socket leaves open whether it was made

/**
 * An event. `event` names its record: topic, partition and offset. `missed` is how many before it
 * were dropped, because too many waited for the gateway to be acknowledged, or for the loop:
 * negative where nobody can say, since the session was lost meanwhile.
 * @typedef {{topic: string, key: string, event: string, data: any, missed: number}} Push
 */

/** @typedef {import('./wire.js').ParleyError} ParleyError */

/**
 * The events of a topic about a key, each once: `for await (const { data } of subscription)`.
 * Whoever leaves the loop ends it. It throws where the subscription ends in a ParleyError.
 */
export class Subscription {
  /** Resolves once events are pushed; rejects where the gateway refuses. @type {Promise<void>} */ ready = Promise.resolve();
  /** Whether the gateway has it, or is asked to. */ made = false;
  missed = 0;

  /** By partition: of all of a topic, others go on while those of a dead node come again. @type {Map<string, Set<string>>} */ #seen = new Map();
  /** @type {Push[]} */ #queue = [];
  /** @type {{error?: any}|undefined} */ #end;
  #wake = () => {};
  #left;

  /** @param {string} topic @param {string|undefined} key @param {(subscription: Subscription) => void} left is told once that it has ended */
  constructor(topic, key, left) {
    this.topic = topic;
    this.key = key;
    this.#left = left;
  }

  /** Queues an event, unless it is one that a resumed session sends again. @param {Push} push */
  take({ missed = 0, ...push }) {
    if (this.#end || !this.#isNew(push.event)) return;
    this.miss(missed);
    if (this.#queue.length >= WAITING) return this.miss(1);
    this.#queue.push({ ...push, missed: this.missed, data: decodePayload(push.data) });
    this.missed = 0;
    this.#wake();
  }

  /** Notes that an event has come, and tells whether it is new. @param {string} event */
  #isNew(event) {
    const partition = event.slice(0, event.lastIndexOf('/'));
    const seen = this.#seen.get(partition) ?? new Set();
    if (seen.has(event)) return false;
    this.#seen.set(partition, seen.add(event));
    if (seen.size > MEMORY) seen.delete(seen.values().next().value ?? ''); // a set has its oldest first
    return true;
  }

  /** Notes that n more events will not come. @param {number} n negative: nobody knows how many */
  miss(n) {
    this.missed = this.missed < 0 || n < 0 ? -1 : this.missed + n;
  }

  /** Ends it: the loop ends behind what has come. */
  close() {
    this.end({});
  }

  /** @param {{error?: any}} how */
  end(how) {
    if (this.#end) return;
    this.#end = how;
    this.#left(this);
    this.#wake();
  }

  async *[Symbol.asyncIterator]() {
    try {
      for (;;) {
        const push = this.#queue.shift();
        if (push) yield push;
        else if (!this.#end) await new Promise((resolve) => (this.#wake = () => resolve(undefined)));
        else if (this.#end.error) throw this.#end.error;
        else return;
      }
    } finally {
      this.close();
    }
  }
}

/** All subscriptions of a client. */
export class Feeds {
  /** @type {Set<Subscription>} */ #all = new Set();
  /** @type {(method: string, params: object) => Promise<any>} */ #request;
  #over = false;

  /** @param {(method: string, params: object) => Promise<any>} request */
  constructor(request) {
    this.#request = request;
  }

  /** @param {string} topic @param {string} [key] without it all of the topic */
  subscribe(topic, key) {
    const subscription = new Subscription(topic, key, (left) => this.#left(left));
    this.#all.add(subscription); // a push may be faster than the confirmation
    subscription.ready = this.#make(topic, key).then(
      () => void (subscription.made = true),
      (error) => {
        subscription.end({ error });
        throw error;
      },
    );
    subscription.ready.catch(() => {}); // the loop throws it as well
    return subscription;
  }

  /** @param {string} topic @param {string} [key] @returns {Promise<any>} */
  async #make(topic, key) {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#request('$/subscribe', { topic, key });
      } catch (error) {
        if (/** @type {ParleyError} */ (error).code !== 'unknown_request' || tries > TRIES) throw error;
      }
    }
  }

  /** @param {Push} push */
  take(push) {
    for (const subscription of [...this.#of(push), ...this.#of({ topic: push.topic })]) subscription.take(push);
  }

  /** Subscribes anew: the session is another one. */
  renew() {
    for (const subscription of this.#all) {
      if (!subscription.made) continue; // its request is made again by itself, or soon
      subscription.miss(-1);
      this.#remake(subscription);
    }
  }

  /** @param {Subscription} subscription */
  async #remake(subscription) {
    subscription.made = false;
    try {
      await this.#make(subscription.topic, subscription.key);
      subscription.made = true;
    } catch (/** @type {any} */ error) {
      if (!error.retry && error.code !== 'unknown_request') return subscription.end({ error });
      setTimeout(() => this.#all.has(subscription) && this.#remake(subscription), AGAIN);
    }
  }

  /** @param {{topic: string, key?: string}} feed */
  #of({ topic, key }) {
    return [...this.#all].filter((subscription) => subscription.topic === topic && subscription.key === key);
  }

  /** @param {Subscription} subscription */
  #left(subscription) {
    this.#all.delete(subscription);
    const { topic, key } = subscription;
    if (!this.#over && this.#of(subscription).length === 0) this.#request('$/unsubscribe', { topic, key }).catch(() => {});
  }

  /** The client has ended. @param {ParleyError} error */
  end(error) {
    this.#over = true;
    for (const subscription of this.#all) subscription.end({ error });
  }
}
