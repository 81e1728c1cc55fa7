// The timetable: stations one below the other, time from left to right, and a
// request as a line that travels between them. Railways have drawn their trains
// so since the 1840s.

import { duration, h, soon, svg } from './dom.js';
import { sockets } from './sockets.js';

/** @typedef {import('./journey.js').Journey} Journey */
/** @typedef {import('./journey.js').Stop} Stop */
/** @typedef {{name: string, detail: string, idle?: boolean}} Label */

const REVEAL = 1200; // ms that a replay takes, whatever the request took
const calm = matchMedia('(prefers-reduced-motion: reduce)');

export class Timetable {
  /** @type {Journey|undefined} */ #journey;
  /** @type {Journey[]} drawn faintly, behind */ #others = [];
  /** @type {number|undefined} when the replay began */ #replayFrom;
  #host;
  #labels;
  #draw = soon(() => this.#render());

  /**
   * @param {HTMLElement} host
   * @param {(journey: Journey|undefined) => Map<import('./journey.js').Station, Label>} labels the stations to show, in order
   */
  constructor(host, labels) {
    this.#host = host;
    this.#labels = labels;
    new ResizeObserver(this.#draw).observe(host);
  }

  /** @param {Journey|undefined} journey @param {Journey[]} others @param {boolean} [replay] */
  show(journey, others, replay = false) {
    this.#journey = journey;
    this.#others = others;
    if (replay) this.#replayFrom = calm.matches ? undefined : performance.now();
    this.#draw();
  }

  /** Draws all of it; what moves is then drawn again by itself, frame by frame. */
  #render() {
    const journey = this.#journey;
    const stations = this.#labels(journey);
    const scale = new Scale(this.#host.clientWidth, stations, span(journey, this.#others), journey?.gaps.length ?? 0);
    const threads = this.#others.filter((other) => other !== journey).map((other) => thread(other, scale));
    const moving = svg('g', { class: 'line' });
    const clip = svg('clipPath', { id: 'plot' }, svg('rect', { x: scale.left - 8, y: 0, width: scale.width - scale.left + 8, height: scale.height }));
    const chart = svg('svg', { width: scale.width, height: scale.height, role: 'img', 'aria-label': describe(journey) },
      svg('defs', {}, clip), grid(scale), rails(scale, stations), svg('g', { class: 'threads', 'clip-path': 'url(#plot)' }, ...threads), moving);
    this.#host.replaceChildren(chart, ...(journey ? [] : [h('p', { class: 'empty' }, 'Send a request to see it travel.')]));
    if (journey) this.#move(journey, scale, moving);
  }

  /** @param {Journey} journey @param {Scale} scale @param {Element} moving */
  #move(journey, scale, moving) {
    if (!moving.isConnected) return; // drawn anew
    if (span(journey, []) !== scale.span || journey.gaps.length !== scale.gaps) return this.#draw();
    const until = this.#progress(journey);
    moving.replaceChildren(...sockets(journey, scale, Math.min(until, journey.latency)), ...line(journey, scale, until));
    if (journey.ended === undefined || until < journey.latency) requestAnimationFrame(() => this.#move(journey, scale, moving));
  }

  /** Up to what time of the journey the line is drawn. @param {Journey} journey */
  #progress(journey) {
    if (journey.ended === undefined || this.#replayFrom === undefined) return Infinity;
    const share = (performance.now() - this.#replayFrom) / REVEAL;
    if (share < 1) return journey.latency * share * share * (3 - 2 * share); // eases in and out
    this.#replayFrom = undefined;
    return Infinity;
  }
}

/** Where times and stations are on the chart. */
export class Scale {
  /** @param {number} width @param {Map<string, Label>} stations @param {number} span ms @param {number} gaps of the journey, which are named above it */
  constructor(width, stations, span, gaps) {
    const narrow = width < 560;
    this.narrow = narrow;
    this.width = Math.max(width, 260);
    this.left = narrow ? 112 : 196;
    this.row = narrow ? 50 : innerHeight > 1000 ? 66 : 54;
    this.span = span;
    this.stations = [...stations.keys()];
    this.gaps = gaps;
    this.top = gaps ? 58 : 30;
    this.bottom = this.top + (this.stations.length - 1) * this.row + 26;
    this.height = this.bottom + 24;
  }

  /** @param {number} ms */
  x(ms) {
    return this.left + Math.min(ms / this.span, 4) * (this.width - this.left - 18);
  }

  /** @param {string} station */
  y(station) {
    return this.top + Math.max(0, this.stations.indexOf(/** @type {any} */ (station))) * this.row;
  }
}

/** How many ms the chart spans: the journey's own; without one, the others'. @param {Journey|undefined} journey @param {Journey[]} others */
function span(journey, others) {
  if (!journey) return Math.max(5, ...others.map((other) => other.latency));
  if (journey.ended === undefined) return 20 * 2 ** Math.max(0, Math.ceil(Math.log2(journey.latency / 18))); // in steps, while it grows
  return Math.max(0.2, journey.latency * 1.03);
}

/** Time's ticks, at round numbers. @param {Scale} scale */
function grid(scale) {
  const rough = scale.span / (scale.narrow ? 3 : 7);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((m) => m * power >= rough) ?? 10);
  const decimals = Math.max(0, -Math.floor(Math.log10(step)));
  const ticks = [];
  for (let i = 0; i * step <= scale.span; i++) {
    const x = scale.x(i * step);
    ticks.push(svg('line', { x1: x, x2: x, y1: scale.top - 18, y2: scale.bottom }));
    if (x < scale.width - 40 || i === 0) ticks.push(svg('text', { x, y: scale.bottom + 16 }, (i * step).toFixed(decimals)));
  }
  return svg('g', { class: 'grid' }, ...ticks, svg('text', { x: scale.width - 2, y: scale.bottom + 16, class: 'unit' }, 'ms'));
}

/** @param {Scale} scale @param {Map<string, Label>} stations */
function rails(scale, stations) {
  const all = [...stations].map(([station, { name, detail, idle }]) => {
    const y = scale.y(station);
    const most = scale.narrow ? 15 : 24;
    return svg('g', { class: idle ? 'rail idle' : 'rail', 'data-station': station },
      svg('line', { x1: scale.left, x2: scale.width, y1: y, y2: y }),
      svg('text', { x: 0, y: y - 2, class: 'name' }, fit(name, most)),
      svg('text', { x: 0, y: y + 13, class: 'detail' }, fit(scale.narrow ? detail.replace('partition ', 'p') : detail, scale.narrow ? 18 : 30)));
  });
  return svg('g', {}, ...all);
}

/** @param {string} text @param {number} most characters */
const fit = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/** Another request, as a thread. @param {Journey} journey @param {Scale} scale */
function thread(journey, scale) {
  const points = journey.stops().map(({ station, at }) => `${scale.x(at).toFixed(1)},${scale.y(station)}`);
  return svg('polyline', { points: points.join(' '), 'data-path': journey.path, 'data-failed': journey.error ? true : undefined });
}

/** The request itself: its line up to a time, its stops, and where it is. @param {Journey} journey @param {Scale} scale @param {number} until */
function line(journey, scale, until) {
  const stops = journey.stops();
  const { passed, a, b, share } = position(stops, until);
  const [x, y] = [mix(scale.x(a.at), scale.x(b.at), share), mix(scale.y(a.station), scale.y(b.station), share)];
  const segments = passed.slice(1).map((stop, i) => segment(stop.way, scale.x(passed[i].at), scale.y(passed[i].station), scale.x(stop.at), scale.y(stop.station)));
  const marks = passed.filter((stop) => !stop.passing).map((stop) => svg('circle', { class: stop.way, cx: scale.x(stop.at), cy: scale.y(stop.station), r: 4.5 }));
  if (journey.ended === undefined || until !== Infinity) {
    return [...segments, segment(b.way, scale.x(a.at), scale.y(a.station), x, y), ...marks, train(b.way, x, y)];
  }
  return [...segments, ...marks, ...times(stops, scale), ...(journey.error ? [cross(stops, scale)] : [])];
}

/** @param {number} from @param {number} to @param {number} share */
const mix = (from, to, share) => from + (to - from) * share;

/** @param {Stop['way']} way @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2 */
const segment = (way, x1, y1, x2, y2) => svg('line', { class: way, x1, y1, x2, y2 });

/** The time at each stop, where there is room for it. @param {Stop[]} stops @param {Scale} scale */
function times(stops, scale) {
  /** @type {[number, number][]} */
  const taken = [];
  return stops.filter((stop) => !stop.passing && !stop.rough && stop.at > 0).map((stop) => {
    const text = stop.at.toFixed(stop.at >= 100 ? 1 : 3);
    const width = text.length * 7 + 6;
    const end = scale.x(stop.at) + 8 + width > scale.width;
    const x = scale.x(stop.at) + (end ? -8 - width : 8);
    const y = scale.y(stop.station) - 8;
    if (taken.some(([ox, oy]) => oy === y && Math.abs(ox - x) < width)) return undefined;
    taken.push([x, y]);
    return svg('text', { x, y }, text);
  }).filter(Boolean);
}

/** Where it went wrong. @param {Stop[]} stops @param {Scale} scale */
function cross(stops, scale) {
  const stop = stops.find((s) => s.station === 'service' && s.way === 'dwell') ?? stops[1];
  const [x, y] = [scale.x(stop.at), scale.y(stop.station)];
  return svg('path', { class: 'cross', d: `M${x - 7} ${y - 7}l14 14M${x + 7} ${y - 7}l-14 14` });
}

/** Where the request is at a time: what it passed, and how far it is from one stop to the next. @param {Stop[]} stops @param {number} at */
function position(stops, at) {
  const next = stops.findIndex((stop) => stop.at > at);
  if (next < 0) return { passed: stops, a: stops[stops.length - 1], b: stops[stops.length - 1], share: 1 };
  const [a, b] = [stops[Math.max(0, next - 1)], stops[next]];
  return { passed: stops.slice(0, next), a, b, share: (at - a.at) / (b.at - a.at) };
}

/** @param {Stop['way']} way @param {number} x @param {number} y */
const train = (way, x, y) => svg('g', { class: 'train' }, svg('circle', { class: `halo ${way}`, cx: x, cy: y, r: 13 }), svg('circle', { class: way, cx: x, cy: y, r: 6.5 }));

/** The chart in a sentence; the legs beside it say the rest. @param {Journey|undefined} journey */
function describe(journey) {
  if (!journey) return 'No request yet';
  return `Request ${journey.number} to ${journey.service}, ${journey.outcome}, ${duration(journey.latency)}${journey.path ? `, ${journey.path}` : ''}${journey.moved ? `, moved from node ${journey.node} to node ${journey.nodeNow}` : ''}`;
}
