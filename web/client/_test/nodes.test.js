import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { fakeWindow, globally, settle, sleep } from './browser.js';
import { FakeSocket, sockets } from './fakesocket.js';
import { connect } from '../parley.js';

/** @type {import('../parley.js').Client} */ let client;

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

/** @param {string|string[]} url */
function dial(url = ['http://a/ws', 'http://b/ws', 'http://c/ws']) {
  client = connect(url, { WebSocket: /** @type {any} */ (FakeSocket) });
  return newest();
}

const newest = () => /** @type {FakeSocket & {url: string}} */ (sockets[sockets.length - 1]);
const pings = (/** @type {FakeSocket} */ socket) => socket.take().filter((m) => m.method === '$/ping').length;

test('a node that is gone is left for the next in the list, in turn', () => {
  dial().welcome();
  const visited = [];
  for (const code of [1006, 1012, 1001, 1011]) {
    newest().lose(code);
    mock.timers.tick(10_000);
    visited.push(newest().url);
  }
  assert.deepEqual(visited, ['ws://b/ws', 'ws://c/ws', 'ws://a/ws', 'ws://b/ws']);
  assert.deepEqual(newest().welcome({ resumed: true }).params.resume.session, 's');
  assert.equal(client.url, 'ws://b/ws');
});

test('each node is tried once at once, then all are waited for', () => {
  dial().welcome();
  const visited = [];
  for (const wait of [50, 50, 50, 250, 500]) {
    newest().lose(1006);
    const count = sockets.length;
    mock.timers.tick(wait - 1);
    assert.equal(sockets.length, count, `not before ${wait} ms`);
    mock.timers.tick(1);
    visited.push(newest().url);
  }
  assert.deepEqual(visited, ['ws://b/ws', 'ws://c/ws', 'ws://a/ws', 'ws://b/ws', 'ws://c/ws']);
  newest().welcome({ resumed: true });
  mock.timers.tick(20_000);
  newest().push({ method: '$/pong' });
  mock.timers.tick(10_000);
  newest().lose(1006);
  const count = sockets.length;
  mock.timers.tick(50);
  assert.equal(sockets.length, count + 1, 'it was steady');
});

test('a socket that is lost while its node is well goes back to it', () => {
  dial().welcome();
  for (const code of [4000, 4413, 4408]) {
    newest().lose(code);
    mock.timers.tick(10_000);
    assert.equal(newest().url, 'ws://a/ws', String(code));
  }
});

test('a node that drains is left for the next', () => {
  dial().welcome();
  newest().push({ method: '$/goaway', params: { reconnect: [0, 100], deadline: 1000 } });
  mock.timers.tick(50);
  assert.equal(newest().url, 'ws://b/ws');
});

test('a node that is asked for is used, be it in the list or not', () => {
  dial().welcome();
  client.reconnect('http://c/ws');
  assert.equal(newest().url, 'ws://c/ws');
  newest().welcome({ resumed: true });
  client.reconnect('http://d/ws');
  assert.equal(newest().url, 'ws://d/ws');
  newest().lose(1006);
  mock.timers.tick(10_000);
  assert.equal(newest().url, 'ws://a/ws', 'd has taken the place of c');
});

test('back online, the next socket is opened at once; the one in use is asked whether it lives', async (t) => {
  const fire = fakeWindow(t);
  dial().welcome();
  newest().lose(1006);
  const count = sockets.length;
  fire('online');
  assert.equal(sockets.length, count + 1);
  const socket = newest();
  socket.welcome({ resumed: true });
  fire('offline');
  assert.equal(pings(socket), 1);
  socket.push({ method: '$/pong' });
  mock.timers.tick(3_000);
  assert.equal(client.state, 'open', 'it answered');
  fire('offline');
  mock.timers.tick(3_000);
  assert.equal(client.state, 'waiting', 'it did not');
  client.close();
  const after = sockets.length;
  fire('online');
  assert.equal(sockets.length, after, 'a closed client listens no more');
});

test('after a sleep, the socket is asked whether it lives, and left soon if it does not', () => {
  const socket = dial();
  socket.welcome();
  sleep(3_600_000);
  assert.ok(pings(socket) > 0);
  mock.timers.tick(3_000);
  assert.equal(client.state, 'waiting');
});

test('after a sleep, an outcome that the gateway has kept is faster than the timeout of this side', async () => {
  const socket = dial();
  socket.welcome({ limits: {} });
  const answer = client.request('orders', 1, { timeout: 10_000 });
  sleep(3_600_000);
  mock.timers.tick(3_000);
  mock.timers.tick(1_000);
  newest().welcome({ resumed: true, limits: {} });
  newest().push({ id: 1, result: 'kept' });
  assert.equal(await answer, 'kept');
});

test('somebody looks at the page again: what waits is opened at once', (t) => {
  const page = Object.assign(new EventTarget(), { visibilityState: 'hidden' });
  globally(t, 'document', page);
  dial().welcome();
  newest().lose(1006);
  const count = sockets.length;
  page.dispatchEvent(new Event('visibilitychange'));
  assert.equal(sockets.length, count);
  page.visibilityState = 'visible';
  page.dispatchEvent(new Event('visibilitychange'));
  assert.equal(sockets.length, count + 1);
  client.close(); // while the page is there
});

test('queues are bounded: too many requests are refused, and notifications that would pile up are lost', async () => {
  const socket = dial();
  socket.welcome({ limits: { open: 300 } });
  const made = Array.from({ length: 301 }, () => client.request('orders'));
  const error = await made[300].catch((error) => error);
  assert.deepEqual([error.code, error.outcome, error.retry], ['overloaded', 'not_sent', true]);
  for (const pending of made.slice(0, 300)) pending.catch(() => {});
  Object.assign(socket, { bufferedAmount: 1 << 20 });
  assert.equal(client.notify('orders', 1), false);
  await settle();
});
