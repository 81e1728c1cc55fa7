// One journey in words: how it ended, its legs, what was asked and answered.

import { byID, clip, duration, h } from './dom.js';

/** @typedef {import('./journey.js').Journey} Journey */

const OUTCOMES = {
  not_sent: 'It never came to Kafka.',
  unknown: 'The service may have seen it.',
  done: 'The service has answered it.',
};

const PATHS = {
  home: 'The reply landed on a partition of this node: no relay, no look-up.',
  relay: 'Another node consumed the reply and relayed it once.',
  held: 'The reply was held until the session came back.',
};

/** @param {Journey|undefined} journey */
export function showVerdict(journey) {
  byID('journey-name').textContent = journey ? `#${journey.number} ${journey.service}${journey.trace ? ` · ${journey.trace.request}` : ''}` : '';
  byID('cancel').hidden = journey?.outcome !== 'waiting';
  byID('replay').hidden = !journey || journey.outcome === 'waiting';
  byID('verdict').hidden = byID('detail').hidden = !journey;
  byID('verdict').replaceChildren(...(journey ? verdict(journey) : []));
  byID('story').hidden = !journey?.gaps.length;
  byID('story').replaceChildren(...(journey?.gaps ?? []).map((gap) => h('li', {}, ...tell(gap))));
  byID('legs').replaceChildren(...(journey?.ended === undefined ? [] : legs(journey)));
  byID('happened').hidden = !journey?.events.length;
  byID('events').replaceChildren(...(journey?.events ?? []).map(happening));
  byID('asked').textContent = journey ? pretty(journey.params, Object.values(journey.meta).some(Boolean) ? journey.meta : undefined) : '';
  byID('answered').textContent = journey ? [...journey.parts.map(oneLine), ...(journey.ended === undefined ? [] : [answer(journey)])].join('\n') : '';
}

/** @param {number} ms */
const roughly = (ms) => (ms < 1000 ? `${Math.max(1, Math.round(ms))} ms` : `${(ms / 1000).toFixed(1)} s`);

/** What befell the socket, in words. @param {import('./journey.js').Gap} gap */
function tell({ why, from, lost, back, to }) {
  const what = { killed: `Node ${from} was killed`, stopped: `Node ${from} was stopped`, dropped: 'The socket was dropped', lost: 'The socket was lost', moved: `The session left node ${from}`, reloaded: 'The page was reloaded' }[why];
  const when = ` ${roughly(lost)} into the request. `;
  if (back === undefined) return [h('b', {}, what), when, 'The client looks for a node that takes the session on.'];
  return [h('b', {}, what), when, `${roughly(back - lost)} later the session went on at `, h('b', {}, `node ${to}`), '.'];
}

/** @param {Journey} journey */
function verdict(journey) {
  if (journey.ended === undefined) return [h('span', { class: 'word waiting' }, 'on its way'), h('p', {}, journey.acceptedAt === undefined ? '' : 'Safe in Kafka. Waiting for the service.')];
  const took = h('strong', { class: 'took' }, duration(journey.latency));
  if (!journey.error && journey.moved) {
    return [h('span', { class: 'word ok' }, 'answered'), took, h('span', { class: 'path', 'data-path': 'moved' }, `${journey.node} → ${journey.nodeNow}`), h('p', {}, `Asked of node ${journey.node}, answered by node ${journey.nodeNow}: once, to the same session.`)];
  }
  if (!journey.error) {
    const path = /** @type {keyof typeof PATHS} */ (journey.path ?? '');
    return [h('span', { class: 'word ok' }, 'answered'), took, h('span', { class: 'path', 'data-path': path }, path), h('p', {}, PATHS[path] ?? '')];
  }
  const { code, message, outcome, retry, data } = journey.error;
  const own = data.service?.code ? ` (${data.service.code})` : '';
  return [
    h('span', { class: 'word bad' }, code), took,
    h('p', {}, h('b', {}, `${message}${own}`), ` ${OUTCOMES[outcome] ?? ''} ${advice(outcome, retry)}`),
    h('p', { class: 'mono note' }, `outcome: ${outcome} · retry: ${retry}`),
  ];
}

/** Whether to send it again. @param {string} outcome @param {boolean} retry */
function advice(outcome, retry) {
  if (retry) return 'The same request may succeed later.';
  return outcome === 'unknown' ? 'Sent again, it might be done twice.' : 'Sent again, it would fail again.';
}

/** @param {Journey} journey */
function legs(journey) {
  const longest = journey.latency;
  const items = journey.legs().map(({ name, note, from, to, way, rough }) => {
    const bar = h('i', { class: `bar ${way}` });
    bar.style.marginInlineStart = `${(from / longest) * 100}%`;
    bar.style.width = `${Math.max(0.6, ((to - from) / longest) * 100)}%`;
    return h('li', {}, h('span', { class: 'leg' }, name), h('span', { class: 'time' }, `${rough ? '≈ ' : ''}${duration(to - from)}`), h('small', {}, note), h('span', { class: 'track' }, bar));
  });
  return [...items, h('li', { class: 'sum' }, h('span', { class: 'leg' }, 'round trip'), h('span', { class: 'time' }, duration(longest)))];
}

/** @param {import('./watch.js').Happening} happened */
const happening = ({ state, note, event, at }) => h('li', {}, h('span', { class: 'leg' }, state), h('span', { class: 'time' }, duration(at)), h('small', {}, note ? `${note} · ${event}` : event));

/** @param {Journey} journey */
function answer({ error, result }) {
  if (!error) return pretty(result);
  const { code, outcome, retry, ...rest } = error.data;
  return pretty({ code: error.number, message: error.message, data: { code, outcome, retry, ...rest } });
}

/** A part of a streamed answer. @param {unknown} part */
const oneLine = (part) => clip(part instanceof Uint8Array ? `${part.length} bytes` : JSON.stringify(part) ?? '', 200);

/** @param {unknown} value @param {object} [meta] */
function pretty(value, meta) {
  const text = value instanceof Uint8Array ? `${value.length} bytes: ${new TextDecoder().decode(value)}` : value === undefined ? '(nothing)' : JSON.stringify(value, null, 2);
  return clip(text, 20_000) + (meta ? `\n\nmeta ${JSON.stringify(meta, null, 2)}` : '');
}
