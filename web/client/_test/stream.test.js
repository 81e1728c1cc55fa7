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

/** @param {object} [options] */
function dial(options) {
  client = connect('http://gateway/ws', { WebSocket: /** @type {any} */ (FakeSocket), ...options });
  return newest();
}

const newest = () => sockets[sockets.length - 1];

/** Lets promises run. */
const settle = async () => {
  for (let i = 0; i < 20; i++) await undefined;
};

/** @param {FakeSocket} socket @param {number} from @param {number} to */
const parts = (socket, from, to) => {
  for (let n = from; n < to; n++) socket.push({ method: '$/reply', params: { id: 1, n, data: n } });
};

/** What a loop takes, until it is told to go on. @param {AsyncIterable<any>} stream */
function take(stream) {
  /** @type {any[]} */ const taken = [];
  const done = (async () => {
    for await (const part of stream) taken.push(part);
  })().catch((error) => taken.push(error.code));
  return { taken, done };
}

test('a stream yields its parts and then its result, and says for how many more it is ready', async () => {
  const socket = dial();
  socket.welcome();
  const { taken, done } = take(client.stream('orders', { n: 1 }, { window: 4, key: 'k' }));
  await settle();
  assert.deepEqual(socket.take(), [{ jsonrpc: '2.0', id: 1, method: 'orders', params: { n: 1 }, meta: { key: 'k', credit: 4 } }]);
  parts(socket, 0, 4);
  await settle();
  assert.deepEqual(socket.take(), [{ jsonrpc: '2.0', method: '$/credit', params: { id: 1, n: 3 } }]);
  parts(socket, 3, 5); // the first of them again
  socket.push({ id: 1, result: { $bytes: 'AA==' } });
  await done;
  assert.deepEqual(taken, [0, 1, 2, 3, 4, Uint8Array.of(0)]);
});

test('a stream that ends in an error throws it behind its parts; an empty result is not yielded', async () => {
  const socket = dial();
  socket.welcome();
  const failing = take(client.stream('orders'));
  await settle();
  parts(socket, 0, 2);
  socket.push({ id: 1, error: { code: -32001, message: '', data: { code: 'timeout' } } });
  await failing.done;
  assert.deepEqual(failing.taken, [0, 1, 'timeout']);
  const empty = take(client.stream('orders'));
  await settle();
  socket.push({ id: 2, result: null });
  await empty.done;
  assert.deepEqual(empty.taken, []);
});

test('whoever leaves the loop cancels the request', async () => {
  const socket = dial();
  socket.welcome();
  const leaving = (async () => {
    for await (const _ of client.stream('orders')) break;
  })();
  await settle();
  socket.take();
  parts(socket, 0, 1);
  await leaving;
  assert.deepEqual(socket.take(), [{ jsonrpc: '2.0', method: '$/cancel', params: { id: 1 } }]);
});

test('a client that comes back says what it has and is ready for, and takes nothing twice', async () => {
  const first = dial();
  first.welcome();
  const { taken, done } = take(client.stream('orders', 1, { window: 4 }));
  await settle();
  parts(first, 0, 2);
  await settle();
  first.lose(1006);
  mock.timers.tick(1000);
  const second = newest();
  const hello = second.welcome({ resumed: true });
  assert.deepEqual(hello.params.resume, { session: 's', secret: 'x', open: [1], streams: [{ id: 1, next: 2, credit: 4 }] });
  parts(second, 1, 6);
  await settle();
  assert.deepEqual(second.take().filter(({ method }) => method === '$/credit'), [{ jsonrpc: '2.0', method: '$/credit', params: { id: 1, n: 3 } }]);
  second.push({ id: 1, result: 'end' });
  await done;
  assert.deepEqual(taken, [0, 1, 2, 3, 4, 5, 'end']);
});
