import assert from 'node:assert/strict';
import { test } from 'node:test';

import { watch } from '../watch.js';

/** A client whose subscriptions yield these events. @param {object[]} events @param {Promise<void>} [ready] */
function clientOf(events, ready = Promise.resolve()) {
  /** @type {string[]} */ const asked = [];
  const subscribe = (/** @type {string} */ topic, /** @type {string} */ key) => {
    asked.push(`${topic} ${key}`);
    return { ready, close: () => {}, [Symbol.asyncIterator]: async function* () { yield* events; } };
  };
  return /** @type {any} */ ({ asked, subscribe });
}

const journeyOf = (/** @type {object} */ more) => /** @type {any} */ ({ service: 'checkout', params: { order: 'o-1' }, events: [], started: 0, ...more });

test('a checkout shows the events of its order up to the last, and nothing of others', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const event = (/** @type {object} */ data, n = 0) => ({ event: `orders.events/0/${n}`, data });
  const client = clientOf([
    event({ state: 'CREATED', total: '12.40' }), event({ state: 'CHECKED', check: { name: 'stock', ok: true } }, 1),
    event({ state: 'CHECKED', check: { name: 'credit', ok: false, why: 'too much' } }, 2), event({ state: 'FAILED', why: 'too much' }, 3), event({ state: 'CREATED' }, 4),
  ]);
  const journey = journeyOf({});
  let told = 0;
  await watch(client, journey, () => told++);
  for (let i = 0; i < 50; i++) await undefined;
  assert.deepEqual(client.asked, ['orders.events o-1']);
  assert.deepEqual(journey.events.map(({ state, note }) => `${state} ${note}`), ['CREATED 12.40 EUR', 'CHECKED stock: yes', 'CHECKED credit: too much', 'FAILED too much']);
  assert.equal(told, 4);
  await watch(client, journeyOf({ service: 'orders' }), () => {});
  await watch(client, journeyOf({ params: 'text' }), () => {});
  assert.equal(client.asked.length, 1);
});

test('a gateway without such events is asked all the same', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const ready = Promise.reject(new Error('forbidden'));
  const journey = journeyOf({});
  await watch(clientOf([], ready), journey, () => {});
  assert.ok(journey.started > 0);
});
