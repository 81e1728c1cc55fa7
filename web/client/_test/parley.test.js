import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { FakeSocket, sockets } from './fakesocket.js';
import { Client, ParleyError, connect } from '../parley.js';

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

/** A client and the socket that it opened. @param {object} [options] */
function dial(options) {
  client = connect('http://gateway/ws', { WebSocket: /** @type {any} */ (FakeSocket), ...options });
  return newest();
}

const newest = () => sockets[sockets.length - 1];

/** The error that a promise rejects with. @param {Promise<any>} promise @returns {Promise<ParleyError>} */
const failure = (promise) => promise.then(() => assert.fail('it was answered'), (error) => error);

/** What a client heard, as it happened. @param {string} type */
function listen(type) {
  /** @type {any[]} */
  const heard = [];
  client.addEventListener(type, (event) => heard.push(/** @type {CustomEvent} */ (event).detail));
  return heard;
}

test('a client says hello first, and a request made before waits for the welcome', async () => {
  const socket = dial({ token: 'jwt' });
  const answer = client.request('orders', { n: 1 }, { key: 'k', timeout: 50, wait: 40, until: 'done', etag: '"0-1"', headers: { 'x-a': 'b' }, want: ['trace'] });
  assert.equal(/** @type {any} */ (socket).url, 'ws://gateway/ws');
  assert.deepEqual(/** @type {any} */ (socket).protocols, ['parley.v1']);

  const hello = socket.welcome();
  assert.deepEqual(hello, { jsonrpc: '2.0', method: '$/hello', params: { token: 'jwt', accepted: true } });
  assert.equal(client.node, 'a');
  assert.deepEqual(socket.take(), [
    { jsonrpc: '2.0', id: 1, method: 'orders', params: { n: 1 }, meta: { key: 'k', timeout: 50, wait: 40, until: 'done', etag: '"0-1"', headers: { 'x-a': 'b' }, want: ['trace'] } },
  ]);

  socket.push({ id: 1, result: { ok: true }, seq: 1, meta: { trace: { node: 'a' } } });
  assert.deepEqual(await answer, { ok: true });
  assert.deepEqual(answer.meta, { trace: { node: 'a' } });
});

test('bytes go out and come back as bytes, however many', async () => {
  const socket = dial();
  socket.welcome({ limits: {} });
  const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i % 256);
  const answer = client.request('echo', bytes);
  const [{ params }] = socket.take();
  assert.equal(params.$bytes, Buffer.from(bytes).toString('base64'));
  socket.push({ id: 1, result: params });
  assert.deepEqual(await answer, bytes);

  const object = client.request('echo', { $bytes: 'AA==', and: 1 });
  socket.push({ id: 2, result: { $bytes: 'AA==', and: 1 } });
  assert.deepEqual(await object, { $bytes: 'AA==', and: 1 });
});

test('what never reached the gateway is sent again by itself, thrice at most, and not behind a later one with its key', async () => {
  const socket = dial();
  socket.welcome();
  const never = (/** @type {number} */ id) => ({ id, error: { code: -32013, message: '', data: { code: 'unknown_request', outcome: 'not_sent', retry: true } } });
  const plain = client.request('orders', 1);
  const keyed = failure(client.request('orders', 2, { key: 'k' }));
  const short = failure(client.request('orders', 3, { timeout: 100 }));
  socket.take();
  socket.lose(1006);
  client.request('orders', 4, { key: 'k' }).catch(() => {});
  mock.timers.tick(250);
  const next = newest();
  assert.deepEqual(next.welcome({ resumed: true }).params.resume.open, [1, 2, 3]);
  next.take();
  for (const id of [1, 2, 3]) next.push(never(id));
  assert.deepEqual(next.take().map((m) => m.id), [1]);
  for (const error of [await keyed, await short]) assert.deepEqual([error.code, error.outcome], ['unknown_request', 'not_sent']);
  next.push(never(1));
  next.push(never(1));
  assert.deepEqual(next.take().map((m) => m.id), [1, 1]);
  next.push({ id: 1, result: 'at last' });
  assert.equal(await plain, 'at last');
});

test('an error says its word, number, outcome and whether to retry', async () => {
  const socket = dial();
  socket.welcome();
  const error = failure(client.request('orders'));
  socket.push({ id: 1, error: { code: -32002, message: 'full', data: { code: 'overloaded', outcome: 'not_sent', retry: true } } });
  const { code, number, outcome, retry, message } = await error;
  assert.deepEqual({ code, number, outcome, retry, message }, { code: 'overloaded', number: -32002, outcome: 'not_sent', retry: true, message: 'full' });
});

test('parts are surfaced once each, in order, and only the first outcome counts', async () => {
  const socket = dial();
  socket.welcome();
  /** @type {any[]} */
  const parts = [];
  let accepted = '';
  const answer = client.request('orders', 1, { onPart: (data, n) => parts.push([n, data]), onAccepted: (request) => (accepted = request) });
  socket.push({ method: '$/accepted', params: { id: 1, request: 's.1' } });
  for (const n of [0, 1, 0, 1, 2]) socket.push({ method: '$/reply', params: { id: 1, n, data: `part ${n}` }, seq: n + 1 });
  socket.push({ id: 1, result: 'first', seq: 6 });
  socket.push({ id: 1, result: 'second', seq: 7 });
  assert.equal(await answer, 'first');
  assert.equal(accepted, 's.1');
  assert.deepEqual(parts, [[0, 'part 0'], [1, 'part 1'], [2, 'part 2']]);
});

test('what arrives is acknowledged every 250 ms or 32 messages', () => {
  const socket = dial();
  socket.welcome();
  for (let seq = 1; seq <= 31; seq++) socket.push({ id: 0, result: null, seq });
  assert.deepEqual(socket.take(), []);
  socket.push({ id: 0, result: null, seq: 32 });
  assert.deepEqual(socket.take().map((m) => m.params), [{ seq: 32 }]);

  socket.push({ id: 0, result: null, seq: 33 });
  mock.timers.tick(249);
  assert.deepEqual(socket.take(), []);
  mock.timers.tick(1);
  assert.deepEqual(socket.take().map((m) => m.params), [{ seq: 33 }]);
  mock.timers.tick(1000);
  assert.deepEqual(socket.take(), []);
});

test('a session outlives its socket: open requests are listed and answered on the next', async () => {
  const socket = dial();
  socket.welcome();
  const answer = client.request('orders', 1);
  socket.push({ id: 9, result: 0, seq: 5 }); // of the old socket, which counts by itself
  socket.lose(1012);
  assert.equal(client.state, 'waiting');
  const later = client.request('orders', 2);
  mock.timers.tick(250);

  const next = newest();
  assert.notEqual(next, socket);
  const hello = next.welcome({ node: 'b', resumed: true });
  assert.deepEqual(hello.params.resume, { session: 's', secret: 'x', open: [1] });
  assert.deepEqual(next.take().map((m) => m.id), [2], 'only what was never sent is sent');
  next.push({ id: 1, result: 'one', seq: 1 });
  next.push({ id: 2, result: 'two', seq: 2 });
  assert.deepEqual([await answer, await later, client.node], ['one', 'two', 'b']);
  mock.timers.tick(250);
  assert.deepEqual(next.take().map((m) => m.params), [{ seq: 2 }]);
});

test('without continuity, what was sent is session_gone and what was not is sent', async () => {
  const socket = dial();
  socket.welcome();
  const lost = failure(client.request('orders', 1));
  socket.lose(1006);
  const later = client.request('orders', 2);
  mock.timers.tick(250);
  newest().welcome({ session: 't', resumed: false });
  const error = await lost;
  assert.deepEqual([error.code, error.outcome, error.retry], ['session_gone', 'unknown', false]);
  newest().push({ id: 1, error: { code: -32011, message: '', data: { code: 'session_gone' } } });
  newest().push({ id: 2, result: 'two' });
  assert.equal(await later, 'two');
});

test('waits grow with full jitter up to 20 s, and begin anew after 30 s connected', () => {
  dial();
  const closes = listen('state');
  const delays = () => closes.splice(0).filter((s) => s.state === 'waiting').map((s) => s.delay);
  for (let i = 0; i < 8; i++) {
    newest().lose(1006);
    mock.timers.tick(10_000);
  }
  assert.deepEqual(delays(), [50, 250, 500, 1000, 2000, 4000, 8000, 10_000]);

  newest().welcome();
  mock.timers.tick(20_000);
  newest().lose(1012);
  assert.deepEqual(delays(), [10_000]);
  mock.timers.tick(10_000);
  newest().welcome();
  mock.timers.tick(20_000);
  newest().push({ method: '$/pong' });
  mock.timers.tick(10_000);
  newest().lose(1012);
  assert.deepEqual(delays(), [250]);
});

test('each close code has its consequence', () => {
  /** @type {[number, string, number?][]} */
  const table = [
    [1000, 'closed'], [1001, 'waiting', 250], [1003, 'closed'], [1006, 'waiting', 50], [1007, 'closed'], [1009, 'closed'],
    [1011, 'waiting', 250], [1012, 'waiting', 250], [1013, 'waiting', 10_250], [4400, 'closed'], [4401, 'closed'], [4403, 'closed'],
    [4406, 'closed'], [4408, 'waiting', 250], [4409, 'closed'], [4410, 'waiting', 250], [4413, 'waiting', 250], [4429, 'waiting', 10_250],
  ];
  for (const [code, state, delay] of table) {
    dial().welcome();
    const states = listen('state');
    newest().lose(code);
    assert.deepEqual(states, [{ state, delay }], String(code));
    client.close();
  }
});

test('a token that is refused is fetched once more, and then the client ends with a clear error', async () => {
  let n = 0;
  const socket = dial({ token: () => `t${++n}` });
  socket.welcome();
  const lost = failure(client.request('orders'));
  socket.lose(4401, 'the token has expired');
  assert.equal(client.state, 'waiting');
  mock.timers.tick(250);
  newest().open();
  newest().lose(4401, 'the token is another issuer\'s');
  const { code, outcome, message } = await lost;
  assert.deepEqual([code, outcome, message, n], ['unauthorized', 'unknown', "the gateway refuses the token: the token is another issuer's", 2]);
  assert.equal(client.state, 'closed');
});

test('an expired token is fetched anew, and a session that is gone is not resumed', async () => {
  let n = 0;
  const socket = dial({ token: async () => `t${++n}` });
  socket.open();
  await Promise.resolve();
  socket.lose(4401);
  mock.timers.tick(250);
  newest().open();
  await new Promise(setImmediate);
  assert.equal(newest().sent[0].params.token, 't2');
  newest().welcome();

  const lost = failure(client.request('orders'));
  newest().lose(4410);
  assert.equal((await lost).code, 'session_gone');
  mock.timers.tick(500);
  newest().open();
  await new Promise(setImmediate);
  assert.equal(newest().sent[0].params.resume, undefined);
});

test('cancelling asks the gateway, and takes whatever outcome comes', async () => {
  const socket = dial();
  socket.welcome();
  const abort = new AbortController();
  const first = failure(client.request('orders', 1, { signal: abort.signal }));
  const second = client.request('orders', 2);
  socket.take();
  abort.abort();
  second.cancel();
  second.cancel();
  assert.deepEqual(socket.take().map((m) => [m.method, m.params.id]), [['$/cancel', 1], ['$/cancel', 2]]);
  socket.push({ id: 1, error: { code: -32008, message: '', data: { code: 'cancelled', outcome: 'unknown', retry: false } } });
  socket.push({ id: 2, result: 'faster' });
  assert.equal((await first).code, 'cancelled');
  assert.equal(await second, 'faster');
});

test('a request that was never sent is cancelled at once, and one cancelled without a socket is cancelled on the next', async () => {
  const socket = dial();
  socket.welcome();
  const sent = client.request('orders', 1);
  socket.lose(1006);
  const unsent = client.request('orders', 2);
  const error = failure(unsent);
  unsent.cancel();
  sent.cancel();
  assert.deepEqual([(await error).code, (await error).outcome], ['cancelled', 'not_sent']);
  assert.equal((await failure(client.request('orders', 3, { signal: AbortSignal.abort() }))).outcome, 'not_sent');
  mock.timers.tick(250);
  newest().welcome({ resumed: true });
  assert.deepEqual(newest().take().map((m) => [m.method, m.params.id]), [['$/cancel', 1]]);
  newest().push({ id: 1, result: 0 });
  await sent;
});

test('no promise stays open for ever: timeouts, full queues, big frames and closed clients settle it', async () => {
  const socket = dial();
  const slow = failure(client.request('orders', 1, { timeout: 100 }));
  const queued = Array.from({ length: 255 }, () => failure(client.request('orders')));
  const over = await failure(client.request('orders'));
  assert.deepEqual([over.code, over.outcome, over.retry], ['overloaded', 'not_sent', true]);
  mock.timers.tick(5_100);
  assert.deepEqual([(await slow).code, (await slow).outcome], ['timeout', 'not_sent']);

  socket.welcome();
  const big = await failure(client.request('orders', 'é'.repeat(600)));
  assert.deepEqual([big.code, big.outcome], ['too_large', 'not_sent']);

  client.close();
  assert.deepEqual([(await queued[0]).code, (await queued[0]).outcome], ['cancelled', 'unknown']);
  assert.equal(socket.take().at(-1).method, '$/bye');
  assert.equal((await failure(client.request('orders'))).code, 'session_gone');
});

test('what outlived the resume window without a socket is gone', async () => {
  const socket = dial();
  socket.welcome({ limits: { resume: 1000 } });
  const lost = failure(client.request('orders'));
  socket.lose(1006);
  for (let i = 0; i < 3; i++) {
    mock.timers.tick(1000);
    newest().lose(1006);
  }
  assert.equal((await lost).code, 'session_gone');
});

test('a silent gateway is pinged, and left when it does not answer', () => {
  const socket = dial();
  mock.timers.tick(10_000);
  assert.equal(client.state, 'waiting', 'no welcome in time');
  mock.timers.tick(250);
  newest().welcome();
  mock.timers.tick(25_000);
  assert.deepEqual(newest().take().map((m) => m.method), ['$/ping']);
  newest().push({ method: '$/pong' });
  mock.timers.tick(25_000);
  assert.equal(client.state, 'open');
  mock.timers.tick(10_000);
  assert.equal(client.state, 'waiting');
  socket.lose(1006); // of a socket that was left long ago
  assert.equal(client.state, 'waiting');
});

test('a gateway that does not answer a request is pinged soon, and gets no more requests until it says something', async () => {
  const socket = dial();
  socket.welcome();
  const said = () => newest().take().map((m) => m.id ?? m.method);
  const answers = [client.request('orders'), client.request('orders')];
  mock.timers.tick(499);
  answers.push(client.request('orders'));
  mock.timers.tick(1);
  answers.push(client.request('orders'), client.request('orders'));
  assert.deepEqual(said(), [1, 2, 3, '$/ping']);
  mock.timers.tick(9_999);
  socket.push({ method: '$/accepted', params: { id: 1, request: 's.1' } }); // it has only been slow
  assert.deepEqual(said(), [4, 5]);
  mock.timers.tick(499);
  assert.equal(client.state, 'open');
  mock.timers.tick(1);
  answers.push(client.request('orders'));
  assert.deepEqual(said(), ['$/ping'], 'it is silent again');
  mock.timers.tick(10_000);
  assert.equal(client.state, 'waiting', 'and stays so');
  mock.timers.tick(50);
  assert.deepEqual(newest().welcome({ resumed: true }).params.resume.open, [1, 2, 3, 4, 5]);
  assert.deepEqual(said(), [6]);
  for (const id of [1, 2, 3, 4, 5, 6]) newest().push({ id, result: id, seq: id });
  assert.deepEqual(await Promise.all(answers), [1, 2, 3, 4, 5, 6]);
});

test('a gateway that was asked whether it is there gets no longer to answer for a request that is made meanwhile', () => {
  const socket = dial();
  socket.welcome();
  mock.timers.tick(25_000);
  mock.timers.tick(9_999);
  failure(client.request('orders'));
  assert.deepEqual(socket.take().map((m) => m.method), ['$/ping', 'orders']);
  mock.timers.tick(1);
  assert.equal(client.state, 'waiting');
});

test('a node that drains is left at a random moment in the range it gave', () => {
  const socket = dial();
  socket.welcome();
  const goaways = listen('goaway');
  socket.push({ method: '$/goaway', params: { reconnect: [1000, 3000], deadline: 20_000 } });
  assert.equal(goaways.length, 1);
  mock.timers.tick(1999);
  assert.equal(newest(), socket);
  mock.timers.tick(1);
  assert.notEqual(newest(), socket);
  assert.deepEqual(newest().welcome({ resumed: true }).params.resume, { session: 's', secret: 'x', open: [] });
});

test('a client moves to another node when told to', () => {
  const socket = dial();
  socket.welcome();
  client.reconnect('http://other/ws');
  assert.equal(socket.readyState, 3);
  assert.equal(/** @type {any} */ (newest()).url, 'ws://other/ws');
  assert.equal(newest().welcome({ resumed: true, node: 'b' }).params.resume.session, 's');
  assert.equal(client.node, 'b');
});

test('a notification has no id, and is written only where there is a socket', () => {
  const socket = dial();
  assert.equal(client.notify('orders', 1), false);
  socket.welcome();
  assert.equal(client.notify('orders', 1), true);
  assert.deepEqual(socket.take(), [{ jsonrpc: '2.0', method: 'orders', params: 1 }]);
});

test('frames of both directions and pushes are events, and nonsense is passed over', () => {
  const socket = dial();
  socket.welcome();
  const frames = listen('frame');
  const pushes = listen('push');
  socket.onmessage({ data: 'nonsense' });
  socket.onmessage({ data: 'null' });
  socket.push({ method: '$/push', params: { topic: 't', event: 'e', data: 1 }, seq: 1 });
  mock.timers.tick(250);
  assert.deepEqual(frames.map((f) => f.direction), ['in', 'in', 'in', 'out']);
  assert.deepEqual(pushes, [{ topic: 't', event: 'e', data: 1 }]);
});

test('what is asked under a key, or attached, is asked again in the next session', async () => {
  const socket = dial();
  socket.welcome();
  const keyed = client.request('orders', 1, { idempotencyKey: 'k' });
  const attached = client.attach('r.1', { onPart: (data) => parts.push(data) });
  const plain = failure(client.request('orders', 2));
  /** @type {any[]} */ const parts = [];
  const sent = socket.take();
  assert.deepEqual(sent[0].meta, { idempotencyKey: 'k' });
  assert.deepEqual(sent[1], { jsonrpc: '2.0', id: 2, method: '$/attach', params: { request: 'r.1' } });
  socket.push({ method: '$/reply', params: { id: 2, n: 0, data: 'a' }, seq: 1 });
  socket.lose(1006);
  mock.timers.tick(30_000);
  newest().welcome({ session: 's2' });
  assert.equal((await plain).code, 'session_gone');
  assert.deepEqual(newest().take(), sent.slice(0, 2));
  for (const id of [1, 2]) { // the gateway's word on the session before
    newest().push({ id, error: { code: -32011, message: 'gone', data: { code: 'session_gone', outcome: 'unknown' } } });
  }
  newest().push({ id: 1, result: 7, seq: 1 });
  newest().push({ method: '$/reply', params: { id: 2, n: 0, data: 'a' }, seq: 2 });
  newest().push({ method: '$/reply', params: { id: 2, n: 1, data: 'b' }, seq: 3 });
  newest().push({ id: 2, result: 'end', seq: 4 });
  assert.equal(await keyed, 7);
  assert.equal(await attached, 'end');
  assert.deepEqual(parts, ['a', 'b']);
});
