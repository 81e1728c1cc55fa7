import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { FakeSocket, sockets } from './fakesocket.js';
import { Client, connect } from '../parley.js';

/** @type {Client} */ let client;

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  mock.method(Math, 'random', () => 0.5);
  sockets.length = 0;
});

afterEach(() => {
  client.close();
  mock.timers.reset();
  mock.restoreAll();
});

function dial() {
  client = connect('http://gateway/ws', { WebSocket: /** @type {any} */ (FakeSocket) });
  return newest();
}

const newest = () => sockets[sockets.length - 1];
const feed = { topic: 'orders.events', key: 'o-1' };

/** Lets promises run. */
const settle = async () => {
  for (let i = 0; i < 20; i++) await undefined;
};

let seq = 0;
/** @param {FakeSocket} socket @param {number} offset @param {object} [more] */
const push = (socket, offset, more) =>
  socket.push({ method: '$/push', params: { ...feed, event: `orders.events/2/${offset}`, data: offset, ...more }, seq: ++seq });

/** What a loop takes. @param {AsyncIterable<any>} subscription */
function take(subscription) {
  /** @type {any[]} */ const taken = [];
  const done = (async () => {
    for await (const { data, missed } of subscription) taken.push(missed ? { data, missed } : data);
    taken.push('end');
  })().catch((error) => taken.push(error.code));
  return { taken, done };
}

test('events come to all who subscribed, each once, over lost sockets, and are acknowledged', async () => {
  const first = dial();
  first.welcome();
  const one = client.subscribe('orders.events', 'o-1');
  const two = client.subscribe('orders.events', 'o-1');
  assert.deepEqual(first.take(), [1, 2].map((id) => ({ jsonrpc: '2.0', id, method: '$/subscribe', params: feed })));
  first.push({ id: 1, result: true });
  first.push({ id: 2, result: true });
  await one.ready;
  const [a, b] = [take(one), take(two)];
  push(first, 1);
  push(first, 2, { data: { $bytes: 'AA==' } });
  push(first, 3, { key: 'o-2' });
  mock.timers.tick(250);
  assert.deepEqual(first.take(), [{ jsonrpc: '2.0', method: '$/ack', params: { seq } }]);
  first.lose(1006);
  mock.timers.tick(1000);
  const second = newest();
  second.welcome({ resumed: true });
  push(second, 2);
  push(second, 4, { missed: 3 });
  await settle();
  assert.deepEqual(a.taken, [1, Uint8Array.of(0), { data: 4, missed: 3 }]);
  assert.deepEqual(b.taken, a.taken);
  assert.deepEqual(second.take(), [], 'subscribes again');
  two.close();
  await b.done;
  assert.deepEqual(second.take(), []);
  one.close();
  await a.done;
  assert.deepEqual(second.take(), [{ jsonrpc: '2.0', id: 3, method: '$/unsubscribe', params: feed }]);
  push(second, 5);
  assert.deepEqual(a.taken.slice(3), ['end']);
});

test('a new session is subscribed anew, again if that fails, and the next event says that some may be missing', async () => {
  const first = dial();
  first.welcome();
  const { taken } = take(client.subscribe('orders.events', 'o-1'));
  first.push({ id: 1, result: true });
  push(first, 1);
  await settle();
  first.take();
  first.lose(4410);
  mock.timers.tick(1000);
  const second = newest();
  second.welcome();
  assert.deepEqual(second.take(), [{ jsonrpc: '2.0', id: 2, method: '$/subscribe', params: feed }]);
  second.push({ id: 2, error: { code: -32003, message: '', data: { code: 'unavailable', outcome: 'not_sent', retry: true } } });
  await settle();
  mock.timers.tick(1000);
  assert.deepEqual(second.take(), [{ jsonrpc: '2.0', id: 3, method: '$/subscribe', params: feed }]);
  second.push({ id: 3, result: true });
  push(second, 7);
  push(second, 8);
  await settle();
  assert.deepEqual(taken, [1, { data: 7, missed: -1 }, 8]);
});

test('a subscription that is refused throws, and so does one whose client ends', async () => {
  const socket = dial();
  socket.welcome();
  const refused = client.subscribe('parley.replies', 'o-1');
  const { taken, done } = take(refused);
  socket.push({ id: 1, error: { code: -32005, message: '', data: { code: 'forbidden' } } });
  await done;
  assert.deepEqual(taken, ['forbidden']);
  await assert.rejects(refused.ready, { code: 'forbidden' });
  const ending = take(client.subscribe('orders.events', 'o-1'));
  client.close();
  await ending.done;
  assert.deepEqual(ending.taken, ['cancelled']);
});

test('of events that no loop takes so many wait; the next says how many were dropped', async () => {
  const socket = dial();
  socket.welcome();
  const subscription = client.subscribe('orders.events', 'o-1');
  socket.push({ id: 1, result: true });
  for (let i = 0; i < 1010; i++) push(socket, i);
  const { taken } = take(subscription);
  for (let i = 0; i < 300; i++) await settle();
  assert.equal(taken.length, 1000);
  push(socket, 2000);
  await settle();
  assert.deepEqual(taken[1000], { data: 2000, missed: 10 });
});

test('all of a topic comes to who names no key, besides those who follow one', async () => {
  const socket = dial();
  socket.welcome();
  const all = client.subscribe('orders.events');
  const one = client.subscribe('orders.events', 'o-1');
  assert.deepEqual(socket.take().map(({ params }) => params), [{ topic: 'orders.events' }, feed]);
  socket.push({ id: 1, result: true });
  socket.push({ id: 2, result: true });
  await one.ready;
  const [a, b] = [take(all), take(one)];
  push(socket, 1);
  push(socket, 2, { key: 'o-2' });
  await settle();
  assert.deepEqual([a.taken, b.taken], [[1, 2], [1]]);
  all.close();
  await settle();
  assert.deepEqual(socket.take().filter(({ method }) => method === '$/unsubscribe').map(({ params }) => params), [{ topic: 'orders.events' }]);
});

test('an event that comes again is known, however many of other partitions have come meanwhile', async () => {
  const socket = dial();
  socket.welcome();
  const all = client.subscribe('orders.events');
  socket.push({ id: 1, result: true });
  await all.ready;
  const { taken } = take(all);
  push(socket, 1);
  for (let i = 0; i < 1100; i++) {
    push(socket, i, { event: `orders.events/3/${i}`, key: 'o-2', data: 'other' });
    if (i % 100 === 0) for (let j = 0; j < 10; j++) await settle();
  }
  push(socket, 1);
  push(socket, 2);
  for (let i = 0; i < 300; i++) await settle();
  assert.deepEqual(taken.filter((data) => data !== 'other'), [1, 2]);
});
