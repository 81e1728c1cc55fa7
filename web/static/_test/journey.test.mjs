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

/** At a time of the test's. @param {number} now @param {() => void} act */
function at(now, act) {
  const clock = mock.method(performance, 'now', () => now);
  act();
  clock.mock.restore();
}

test('a journey whose node is killed goes on at another, which can tell no more than that it answered', () => {
  const journey = ended({ ended: undefined, outcome: 'waiting', acceptedAt: 2 });
  at(4, () => journey.lose('killed'));
  at(4.5, () => journey.lose('moved')); // the next socket, while there is none
  at(5, () => journey.resume('b'));
  assert.deepEqual(journey.gaps, [{ why: 'killed', from: 'a', lost: 4, back: 5, to: 'b' }]);
  assert.deepEqual([journey.moved, journey.nodeNow], [true, 'b']);
  at(10, () => Object.assign(journey, { ended: 10, outcome: 'ok' }));
  assert.deepEqual(journey.stops().map((stop) => stop.station), ['client', 'node', 'request', 'service', 'service', 'reply', 'next', 'client']);
  assert.equal(journey.legs().reduce((sum, leg) => sum + leg.to - leg.from, 0), 10);
  assert.ok(journey.stops().every((stop) => stop.at <= 10 && (stop.station !== 'next' || stop.at >= 5)), 'it came by the second socket');
  journey.lose('lost');
  assert.equal(journey.gaps.length, 1, 'what befalls later is no part of it');
});

test('a reply that came while there was no socket waits at the node for the next', () => {
  const journey = ended({ ended: undefined, acceptedAt: 2 });
  at(4, () => journey.lose('dropped'));
  at(9, () => journey.resume('a'));
  const times = { submitted: 1000, accepted: 1001, replied: 1004.5, consumed: 1005, pushed: 1005 };
  Object.assign(journey, { ended: 10, outcome: 'ok', trace: { request: 's.1', node: 'a', service: 'orders', path: 'home', consumedBy: 'a', ...records, at: times } });
  assert.deepEqual(stations(journey).slice(-3), [['node', 6], ['node', 9], ['client', 10]]);
  assert.equal(journey.legs().reduce((sum, leg) => sum + leg.to - leg.from, 0), 10);
  assert.deepEqual(journey.legs().slice(-2).map((leg) => leg.name), ['waited for you', 'pushed to you']);
});

test('a journey goes on after a reload, as long before it as it began', () => {
  const journey = ended({ ended: undefined, acceptedAt: 2, started: 100 });
  const text = JSON.stringify(journey);
  const again = Journey.goesOn(JSON.parse(text));
  assert.ok(Math.abs(again.started - 100) < 0.01);
  assert.deepEqual([again.number, again.service, again.door, again.node, again.acceptedAt, again.gaps[0].why], [1, 'orders', 'ws', 'a', 2, 'reloaded']);
  assert.ok(JSON.stringify(Object.assign(journey, { params: 'x'.repeat(100_000) })).length < 1000, 'what is remembered is bounded');
});
