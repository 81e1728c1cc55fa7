// The sockets that a journey had, on the timetable, where one was not enough.

import { svg } from './dom.js';

/** @typedef {import('./journey.js').Journey} Journey */
/** @typedef {import('./timetable.js').Scale} Scale */

const RING = 900; // ms for which the mark of a resumed session swells

/** @type {Record<import('./journey.js').Gap['why'], (node: string) => string>} */
const LOST = { killed: (node) => `node ${node} killed`, stopped: (node) => `node ${node} stopped`, dropped: () => 'socket dropped', lost: () => 'socket lost', moved: (node) => `left node ${node}`, reloaded: () => 'page reloaded' };

/**
 * The sockets that a journey had, where one was not enough: each a band between
 * you and a node, and between them what happened.
 * @param {Journey} journey @param {Scale} scale @param {number} now ms of the journey
 */
export function sockets(journey, scale, now) {
  const gaps = journey.gaps.filter((gap) => gap.lost <= now);
  if (!gaps.length) return [];
  const station = (/** @type {string} */ node) => (node === journey.node ? 'node' : 'next');
  const top = scale.y('client');
  /** @param {number} from @param {number} to @param {string} node */
  const band = (from, to, node) => svg('rect', { class: 'socket', x: scale.x(from), width: Math.max(0, scale.x(to) - scale.x(from)), y: top, height: scale.y(station(node)) - top });
  const parts = gaps.map((gap, i) => band(gaps[i - 1]?.back ?? 0, gap.lost, gap.from));
  const last = gaps[gaps.length - 1];
  if (last.back !== undefined && last.back <= now) parts.push(band(last.back, now, last.to ?? ''));
  const room = [0, 0]; // up to where names stand, on either line
  for (const { why, from, lost, back, to } of gaps) {
    const [x, y] = [scale.x(lost), scale.y(station(from))];
    parts.push(svg('line', { class: 'nobody', x1: x, x2: scale.x(Math.min(back ?? now, now)), y1: top, y2: top }));
    if (why === 'killed' || why === 'stopped') parts.push(svg('line', { class: 'gone', x1: x, x2: scale.width, y1: y, y2: y }));
    parts.push(svg('line', { class: 'lost', x1: x, x2: x, y1: 6, y2: y }), name(LOST[why](from), x, 14, 'lost', scale, room, 0));
    if (back === undefined || back > now) continue;
    const [bx, by] = [scale.x(back), scale.y(station(to ?? ''))];
    const age = (now - back) / RING;
    if (age < 1) parts.push(svg('circle', { class: 'ring', cx: bx, cy: by, r: 6 + 22 * age, 'stroke-opacity': 1 - age }));
    parts.push(svg('line', { class: 'resumed', x1: bx, x2: bx, y1: 24, y2: by }), svg('circle', { class: 'resumed', cx: bx, cy: by, r: 5 }), name(`resumed on ${to}`, bx, 32, 'resumed', scale, room, 1));
  }
  return parts.filter(Boolean);
}

/** A name beside a mark, where there is room. @param {string} text @param {number} x @param {number} y @param {string} kind @param {Scale} scale @param {number[]} room @param {number} row */
function name(text, x, y, kind, scale, room, row) {
  const width = text.length * 7.2 + 6;
  const from = x + 6 + width > scale.width ? x - 6 - width : x + 6;
  if (from < room[row]) return undefined;
  room[row] = from + width;
  return svg('text', { class: `gap ${kind}`, x: from, y }, text);
}
