// A request's journey, as it can be told afterwards: where it stopped, and how
// long each leg took.

/**
 * @typedef {object} Trace see ws/doc.go; what is not known is left out
 * @property {string} request
 * @property {string} node
 * @property {string} service
 * @property {'home'|'relay'|'held'} [path]
 * @property {{topic: string, partition: number, offset: number}} [requestRecord]
 * @property {{topic: string, partition: number, offset: number}} [replyRecord]
 * @property {string} [consumedBy]
 * @property {Object<string, number>} at Unix milliseconds with a fraction
 */

/**
 * The stations of the timetable, from the browser to the far side of Kafka.
 * `next` is the node to which the session moved meanwhile, `other` one that
 * relayed the reply.
 * @typedef {'client'|'node'|'next'|'request'|'service'|'reply'|'other'} Station
 */

/**
 * A time without a socket, amid the journey.
 * @typedef {object} Gap
 * @property {'killed'|'stopped'|'dropped'|'lost'|'moved'|'reloaded'} why
 * @property {string} from the node that we lost
 * @property {number} lost ms since the request was made
 * @property {number} [back] when the session was resumed
 * @property {string} [to] the node where that was
 */

const PARTS = 1000; // of a streamed answer that are kept
const KEPT = 4000; // characters of what was asked that are remembered for a reload

/**
 * @typedef {object} Stop
 * @property {Station} station
 * @property {number} at ms since the request was made
 * @property {'out'|'dwell'|'back'|'relay'} way how it came here
 * @property {boolean} [passing] not a stop of its own: a bend of the line
 * @property {boolean} [rough] nobody has told its time
 */

/**
 * @typedef {object} Leg
 * @property {string} name
 * @property {string} note
 * @property {number} from ms since the request was made
 * @property {number} to
 * @property {Stop['way']} way
 * @property {boolean} [rough] one of its ends is known to a millisecond only
 */

export class Journey {
  /** @type {'waiting'|'ok'|string} an error word, where it is one */ outcome = 'waiting';
  /** @type {number|undefined} */ ended;
  /** @type {number|undefined} when we heard that it is safe in Kafka */ acceptedAt;
  /** @type {any} */ result;
  /** @type {any[]} of a streamed answer, as they come; the newest where there are many */ parts = [];
  /** @type {import('./watch.js').Happening[]} what happened to its order meanwhile */ events = [];
  /** @type {import('/client/parley.js').ParleyError|undefined} */ error;
  /** @type {Trace|undefined} */ trace;
  /** Cancels it. */ cancel = () => {};
  /** @type {Gap[]} */ gaps = [];

  /** @param {number} number @param {string} service @param {'ws'|'http'} door @param {string} node @param {unknown} params @param {object} meta */
  constructor(number, service, door, node, params, meta) {
    this.number = number;
    this.service = service;
    this.door = door;
    this.node = node;
    this.params = params;
    this.meta = meta;
    this.started = performance.now();
  }

  /** The round trip as seen here, in ms; so far, while it lasts. */
  get latency() {
    return (this.ended ?? performance.now()) - this.started;
  }

  get path() {
    return this.trace?.path;
  }

  /** The node that has its session: at first `node`, then where that was resumed. */
  get nodeNow() {
    return this.gaps.filter((gap) => gap.to).at(-1)?.to ?? this.node;
  }

  /** Whether its session went to another node. */
  get moved() {
    return this.nodeNow !== this.node;
  }

  /** The socket is gone. @param {Gap['why']} why @param {number} [at] */
  lose(why, at = this.latency) {
    const last = this.gaps.at(-1);
    if (this.ended === undefined && (!last || last.back !== undefined)) this.gaps.push({ why, from: this.nodeNow, lost: Math.max(0, at) });
  }

  /** The session goes on, at this node. @param {string} node */
  resume(node) {
    const last = this.gaps.at(-1);
    if (last && last.back === undefined) Object.assign(last, { back: this.latency, to: node });
  }

  /** Takes a part of the answer. @param {any} part */
  add(part) {
    if (this.parts.push(part) > PARTS) this.parts.shift();
  }

  /** What the page that comes after a reload needs to go on. */
  toJSON() {
    const { number, service, node, acceptedAt, gaps } = this;
    const params = (JSON.stringify(this.params) ?? '').length > KEPT || this.params instanceof Uint8Array ? '(not remembered)' : this.params;
    const meta = JSON.stringify(this.meta).length > KEPT ? {} : this.meta;
    return { number, service, node, acceptedAt, gaps, params, meta, started: performance.timeOrigin + this.started };
  }

  /** A journey that began on the page before. @param {any} note */
  static goesOn({ number, service, node, acceptedAt, gaps, params, meta, started }) {
    const journey = new Journey(number, service, 'ws', node, params, meta);
    journey.started = started - performance.timeOrigin;
    journey.acceptedAt = acceptedAt;
    journey.gaps = gaps;
    journey.lose('reloaded', -journey.started);
    return journey;
  }

  /** Where it stopped, in order. @returns {Stop[]} */
  stops() {
    if (this.ended === undefined) return this.#soFar();
    const t = this.#times();
    if (!t) return this.gaps.length && this.acceptedAt !== undefined ? this.#untraced(this.acceptedAt) : this.#turnedBack();
    const home = this.#home();
    /** @type {(Stop|false)[]} */
    const stops = [
      { station: 'client', at: 0, way: 'out' },
      { station: 'node', at: t.submitted, way: 'out' },
      t.accepted !== undefined && { station: 'request', at: t.accepted, way: 'out', passing: !t.acked },
    ];
    if (t.accepted !== undefined) {
      const left = t.replied ?? t.pushed;
      stops.push({ station: 'service', at: t.accepted, way: 'out', passing: true }, { station: 'service', at: left, way: 'dwell' });
    }
    if (t.replied !== undefined && t.consumed !== undefined) {
      stops.push({ station: 'reply', at: t.replied, way: 'back' });
      if (t.relayed !== undefined) stops.push({ station: 'other', at: t.consumed, way: 'back' });
      stops.push({ station: home, at: t.relayed ?? t.consumed, way: t.relayed === undefined ? 'back' : 'relay' });
    }
    stops.push({ station: home, at: t.pushed, way: 'dwell', passing: t.consumed !== undefined });
    const back = this.#awaited(t.pushed);
    if (back) stops.push({ station: home, at: back, way: 'dwell' });
    stops.push({ station: 'client', at: this.latency, way: 'back' });
    return /** @type {Stop[]} */ (stops.filter(Boolean));
  }

  /** What each leg took, in words. @returns {Leg[]} */
  legs() {
    const t = this.#times();
    if (!t && this.gaps.length && this.acceptedAt !== undefined) {
      return [
        { name: `into Kafka by node ${this.node}`, note: 'acknowledged to this page', from: 0, to: this.acceptedAt, way: 'out' },
        { name: `service ${this.service}, and back`, note: `pushed by node ${this.nodeNow}, which did not take the request and has no trace of it`, from: this.acceptedAt, to: this.latency, way: 'dwell' },
      ];
    }
    if (!t) return [{ name: 'round trip', note: 'the node answered by itself', from: 0, to: this.latency, way: 'back' }];
    const { requestRecord: q, replyRecord: r, node, consumedBy, service } = /** @type {Trace} */ (this.trace);
    const place = (/** @type {any} */ at) => (at ? `${at.topic} ${at.partition}@${at.offset}` : '');
    /** @type {Leg[]} */
    const legs = [{ name: `to node ${node}`, note: 'half of what was not spent in the gateway', from: 0, to: t.submitted, way: 'out' }];
    if (t.acked && t.accepted !== undefined) legs.push({ name: 'into Kafka, acknowledged', note: place(q), from: t.submitted, to: t.accepted, way: 'out' });
    if (t.replied === undefined || t.consumed === undefined) {
      legs.push({ name: 'waited', note: `no reply from ${service}`, from: t.accepted ?? t.submitted, to: t.pushed, way: 'dwell' });
    } else {
      const note = t.acked ? 'read, worked, wrote the reply' : 'the reply overtook the acknowledgement';
      legs.push({ name: t.acked ? `service ${service}` : `Kafka and service ${service}`, note, from: t.accepted ?? t.submitted, to: t.replied, way: 'dwell', rough: t.rough });
      legs.push({ name: `consumed by node ${consumedBy}`, note: place(r), from: t.replied, to: t.consumed, way: 'back', rough: t.rough });
      if (t.relayed !== undefined) legs.push({ name: `relayed to node ${node}`, note: `the inbox of node ${node}`, from: t.consumed, to: t.relayed, way: 'relay' });
      legs.push({ name: 'found its session', note: t.relayed === undefined ? 'at home: no look-up, no relay' : 'after one relay, never a second', from: t.relayed ?? t.consumed, to: t.pushed, way: 'dwell' });
    }
    const back = this.#awaited(t.pushed);
    if (back) legs.push({ name: 'waited for you', note: 'kept until the session was resumed', from: t.pushed, to: back, way: 'dwell' });
    legs.push({ name: 'pushed to you', note: this.door === 'ws' ? 'a frame' : 'the HTTP response', from: back ?? t.pushed, to: this.latency, way: 'back' });
    return legs;
  }

  /** What is known before the outcome. @returns {Stop[]} */
  #soFar() {
    const safe = this.acceptedAt;
    const now = this.latency;
    const stop = (/** @type {Station} */ station, /** @type {number} */ at, /** @type {Stop['way']} */ way = 'out') => ({ station, at, way });
    if (safe === undefined) return [stop('client', 0), stop('node', Math.min(0.5, now)), stop('node', now, 'dwell')];
    return [stop('client', 0), stop('node', safe / 2), stop('request', safe), stop('service', safe), stop('service', now, 'dwell')];
  }

  /** Where its session is, among the stations. @returns {Station} */
  #home() {
    return this.moved ? 'next' : 'node';
  }

  /** When the session was resumed for which a reply waited. @param {number} pushed */
  #awaited(pushed) {
    const gap = this.gaps.find(({ lost, back }) => back !== undefined && back > pushed && lost <= pushed);
    return gap && Math.min(/** @type {number} */ (gap.back), this.latency);
  }

  /** One that another node has answered for than the one that took it. @param {number} safe @returns {Stop[]} */
  #untraced(safe) {
    const end = this.latency;
    const resumed = Math.min(this.gaps.at(-1)?.back ?? 0, end);
    const hop = Math.min(end * 0.012, (end - safe) / 3, (end - resumed) / 2); // it came by a socket that was there
    return [
      { station: 'client', at: 0, way: 'out' },
      { station: 'node', at: safe / 2, way: 'out', rough: true },
      { station: 'request', at: safe, way: 'out' },
      { station: 'service', at: safe, way: 'out', passing: true },
      { station: 'service', at: end - 2 * hop, way: 'dwell', rough: true },
      { station: 'reply', at: end - 1.5 * hop, way: 'back', rough: true },
      { station: this.#home(), at: end - hop, way: 'back', rough: true },
      { station: 'client', at: end, way: 'back' },
    ];
  }

  /** A request that never came to Kafka. @returns {Stop[]} */
  #turnedBack() {
    return [
      { station: 'client', at: 0, way: 'out' },
      { station: 'node', at: this.latency / 2, way: 'out' },
      { station: 'client', at: this.latency, way: 'back' },
    ];
  }

  /**
   * The trace's times since the request was made, each no earlier than the one
   * before. The gateway's clock is not ours: what our round trip took longer
   * than the gateway's part is divided evenly between the way there and back.
   */
  #times() {
    const at = this.trace?.at;
    if (!at?.submitted || !at.pushed || this.ended === undefined) return undefined;
    const way = Math.max(0, this.latency - (at.pushed - at.submitted)) / 2;
    // Where the socket was away for a while, that is no part of the way there.
    const offset = (this.gaps.length ? Math.min(way, (this.acceptedAt ?? 0) / 2) : way) - at.submitted;
    let last = 0;
    const since = (/** @type {number|undefined} */ ms) => {
      if (!ms) return undefined;
      last = Math.min(Math.max(last, ms + offset), this.latency);
      return last;
    };
    const [submitted, pushed] = [since(at.submitted) ?? 0, at.pushed + offset];
    // An acknowledgement may well come after the reply, which then proves that the request was written.
    const acked = at.accepted !== undefined && at.accepted <= (at.consumed ?? at.pushed);
    const accepted = acked ? since(at.accepted) : at.consumed && submitted;
    return {
      submitted, accepted, acked, rough: Number.isInteger(at.replied),
      replied: since(replied(at)), consumed: since(at.consumed), relayed: since(at.relayed), pushed: Math.max(last, Math.min(pushed, this.latency)),
    };
  }
}

/**
 * When the reply was written. Kafka keeps whole milliseconds, and producers cut
 * or round: the middle of what is then possible.
 * @param {Object<string, number|undefined>} at
 */
function replied({ submitted = 0, accepted = submitted, replied, consumed }) {
  if (!replied || !consumed || !Number.isInteger(replied)) return replied;
  const [first, last] = [Math.max(replied - 1, accepted), Math.min(replied + 1, consumed)];
  return Math.min((first + last) / 2, consumed);
}
