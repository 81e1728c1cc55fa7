// How long requests take: each a dot, and the percentiles as lines.

import { byID, h, soon, svg } from './dom.js';

/** @typedef {import('./journey.js').Journey} Journey */

const LAST = 200;

export class Latency {
  /** @type {Journey[]} oldest first */ #journeys = [];
  #host = byID('scatter');
  #draw = soon(() => this.#render());

  constructor() {
    new ResizeObserver(this.#draw).observe(this.#host);
  }

  /** @param {Journey[]} journeys newest first */
  show(journeys) {
    this.#journeys = journeys.filter((journey) => journey.ended !== undefined).slice(0, LAST).reverse();
    this.#draw();
  }

  #render() {
    const answered = this.#journeys.filter((journey) => !journey.error);
    const sorted = answered.map((journey) => journey.latency).sort((a, b) => a - b);
    const [p50, p99] = [percentile(sorted, 0.5), percentile(sorted, 0.99)];
    const relayed = answered.filter((journey) => journey.path === 'relay').length;
    const figures = [['p50', figure(p50)], ['p99', figure(p99)], ['ok', answered.length], ['failed', this.#journeys.length - answered.length], ['relayed', answered.length ? `${Math.round((relayed / answered.length) * 100)} %` : '–']];
    byID('figures').replaceChildren(...figures.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
    this.#host.replaceChildren(chart(this.#journeys, p50, p99, Math.max(200, this.#host.clientWidth)));
  }
}

/** The nearest rank. @param {number[]} sorted @param {number} share */
const percentile = (sorted, share) => (sorted.length ? sorted[Math.ceil(share * sorted.length) - 1] : undefined);

/** @param {number|undefined} ms */
const figure = (ms) => (ms === undefined ? '–' : ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : `${ms.toFixed(ms < 10 ? 2 : 1)} ms`);

/**
 * The time runs upwards in powers of ten, as a few slow requests must not hide
 * what most take.
 * @param {Journey[]} journeys @param {number|undefined} p50 @param {number|undefined} p99 @param {number} width
 */
function chart(journeys, p50, p99, width) {
  const [height, left, right] = [132, 44, 34];
  const values = journeys.map((journey) => Math.max(0.05, journey.latency));
  const low = Math.floor(Math.log10(Math.min(1, ...values)));
  const high = Math.max(low + 2, Math.ceil(Math.log10(Math.max(10, ...values))));
  const y = (/** @type {number} */ ms) => 8 + (1 - (Math.log10(Math.max(ms, 0.05)) - low) / (high - low)) * (height - 16);
  const x = (/** @type {number} */ i) => left + 8 + (i / Math.max(60, journeys.length - 1)) * (width - left - right - 16);
  const powers = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
  const grid = powers.map((ms) => [
    svg('line', { x1: left, x2: width - right, y1: y(ms), y2: y(ms) }),
    svg('text', { x: left - 6, y: y(ms) + 4 }, ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`),
  ]);
  const dots = journeys.map((journey, i) => svg('circle', { cx: x(i), cy: y(values[i]), r: 2.6, 'data-path': journey.path, 'data-failed': journey.error ? true : undefined }));
  const close = p50 !== undefined && p99 !== undefined && Math.abs(y(p50) - y(p99)) < 12;
  const lines = [['p50', p50, close ? 9 : 4], ['p99', p99, close ? -1 : 4]].filter(([, ms]) => ms !== undefined).map(([name, ms, drop]) =>
    svg('g', { class: String(name) }, svg('line', { x1: left, x2: width - right, y1: y(Number(ms)), y2: y(Number(ms)) }), svg('text', { x: width - right + 5, y: y(Number(ms)) + Number(drop) }, name)));
  const label = journeys.length ? `Latency of ${journeys.length} requests: median ${figure(p50)}, 99th percentile ${figure(p99)}` : 'No latencies yet';
  return svg('svg', { width, height, role: 'img', 'aria-label': label }, svg('g', { class: 'grid' }, ...grid.flat()), svg('g', { class: 'dots' }, ...dots), ...lines);
}
