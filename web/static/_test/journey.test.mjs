// The folder's underscore keeps the tests out of the gateway's binary.

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

import { Journey } from '../journey.js';

/** A journey that took 10 ms, with what its outcome brought. @param {object} outcome */
function ended(outcome) {
  const now = mock.method(performance, 'now', () => 0);
  const journey = new Journey(1, 'orders', 'ws', 'a', {}, {});
  now.mock.restore();
  return Object.assign(journey, { ended: 10, outcome: 'ok' }, outcome);
}

const records = { requestRecord: { topic: 'orders.requests', partition: 3, offset: 12 }, replyRecord: { topic: 'parley.replies', partition: 7, offset: 99 } };
const stations = (/** @type {Journey} */ journey) => journey.stops().map(({ station, at }) => [station, at]);

test('a relayed request travels by all stations, and its legs add up to the round trip', () => {
  const at = { submitted: 1000.25, accepted: 1001.25, replied: 1003, consumed: 1004.25, relayed: 1005.25, pushed: 1006.25 };
  const journey = ended({ trace: { request: 's.1', node: 'a', service: 'orders', path: 'relay', consumedBy: 'b', ...records, at } });
  assert.deepEqual(stations(journey), [
    ['client', 0], ['node', 2], ['request', 3], ['service', 3], ['service', 4.75], ['reply', 4.75], ['other', 6], ['node', 7], ['node', 8], ['client', 10],
  ]);
  const legs = journey.legs();
  assert.deepEqual(legs.map((leg) => leg.name), ['to node a', 'into Kafka, acknowledged', 'service orders', 'consumed by node b', 'relayed to node a', 'found its session', 'pushed to you']);
  assert.equal(legs.reduce((sum, leg) => sum + leg.to - leg.from, 0), 10);
  assert.deepEqual(legs.filter((leg) => leg.rough).map((leg) => leg.name), ['service orders', 'consumed by node b'], 'Kafka keeps whole milliseconds');
});

test('a reply at home never sees another node', () => {
  const at = { submitted: 1000, accepted: 1001, replied: 1002, consumed: 1003, pushed: 1004 };
  const journey = ended({ trace: { request: 's.1', node: 'a', service: 'orders', path: 'home', consumedBy: 'a', ...records, at } });
  assert.ok(!journey.stops().some((stop) => stop.station === 'other'));
});

test('times never run backwards, however the clocks and the acknowledgement were', () => {
  const at = { submitted: 1000.9, accepted: 1009, replied: 1000, consumed: 1003, pushed: 1004 };
  const journey = ended({ trace: { request: 's.1', node: 'a', service: 'orders', path: 'home', consumedBy: 'a', ...records, at } });
  const times = journey.stops().map((stop) => stop.at);
  assert.deepEqual(times, [...times].sort((a, b) => a - b));
  assert.ok(times.every((time) => time >= 0 && time <= 10));

  const fast = ended({ trace: { request: 's.1', node: 'a', service: 'orders', ...records, at: { submitted: 0.001, accepted: 900, pushed: 1000 } } });
  assert.ok(fast.stops().every((stop) => stop.at >= 0 && stop.at <= 10), 'a gateway that took longer than we saw');
});

test('a reply may overtake the acknowledgement of its request', () => {
  const at = { submitted: 1000, replied: 1001, consumed: 1003, pushed: 1004 };
  const { requestRecord, ...rest } = records;
  const journey = ended({ trace: { request: 's.1', node: 'a', service: 'orders', path: 'home', consumedBy: 'a', ...rest, at } });
  assert.deepEqual(journey.legs().map((leg) => leg.name), ['to node a', 'Kafka and service orders', 'consumed by node a', 'found its session', 'pushed to you']);
});

test('a request that timed out stops at its service, and one that was refused at the node', () => {
  const late = ended({ outcome: 'timeout', trace: { request: 's.1', node: 'a', service: 'orders', ...records, replyRecord: undefined, at: { submitted: 1000, accepted: 1001, pushed: 1008 } } });
  assert.deepEqual(stations(late), [['client', 0], ['node', 1], ['request', 2], ['service', 2], ['service', 9], ['node', 9], ['client', 10]]);
  assert.deepEqual(late.legs().map((leg) => leg.name), ['to node a', 'into Kafka, acknowledged', 'waited', 'pushed to you']);

  const refused = ended({ outcome: 'unknown_service' });
  assert.deepEqual(stations(refused), [['client', 0], ['node', 5], ['client', 10]]);
});
