import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { FakeLocks, FakeStorage, fakeWindow, globally, settle } from './browser.js';
import { FakeSocket, sockets } from './fakesocket.js';
import { connect } from '../parley.js';

/** @type {import('../parley.js').Client[]} */ let clients;

beforeEach((t) => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  mock.method(Math, 'random', () => 0.5);
  sockets.length = 0;
  clients = [];
  globally(/** @type {any} */ (t), 'navigator', { locks: new FakeLocks() });
});

afterEach(() => {
  for (const client of clients) client.close();
  mock.timers.reset();
  mock.restoreAll();
});

/**
 * A page with this sessionStorage and a window of its own, its socket, and what it heard of requests of the page before.
 * @param {import('node:test').TestContext} t @param {FakeStorage} storage
 */
function load(t, storage) {
  const fire = fakeWindow(t);
  const client = connect('http://gateway/ws', { WebSocket: /** @type {any} */ (FakeSocket), storage });
  clients.push(client);
  /** @type {any[]} */ const orphans = [];
  /** @type {any[]} */ const restored = [];
  client.addEventListener('orphan', (event) => orphans.push(/** @type {CustomEvent} */ (event).detail));
  client.addEventListener('restored', (event) => restored.push(.../** @type {CustomEvent} */ (event).detail.requests));
  return { client, socket: sockets[sockets.length - 1], orphans, restored, fire };
}

/** Opens a page's socket, and answers what its hello asks to resume. @param {FakeSocket} socket @param {object} [welcome] */
async function greet(socket, welcome = {}) {
  socket.open();
  await settle();
  const [hello] = socket.take();
  socket.push({ method: '$/welcome', params: { session: 's', secret: 'x', node: 'a', resumed: false, limits: { frame: 1000, resume: 120_000 }, ...welcome } });
  return hello.params.resume;
}

test('a session outlives its page: what was open is listed, and its outcomes are orphans with their notes', async (t) => {
  const storage = new FakeStorage();
  const before = load(t, storage);
  assert.equal(await greet(before.socket), undefined);
  const note = { n: 1 };
  before.client.request('orders', 1, { note }).catch(() => {});
  before.client.request('basket', 2).catch(() => {});
  before.client.request('echo', 3);
  note.n = 7; // is read when the page is left
  before.socket.push({ method: '$/reply', params: { id: 1, n: 0, data: 'part' }, seq: 1 });
  before.socket.push({ id: 3, result: 'surfaced', seq: 2 });
  before.socket.take();
  before.fire('pagehide', { persisted: false });
  assert.deepEqual(before.socket.take().map((m) => m.params), [{ seq: 2 }], 'what arrived is acknowledged');

  const after = load(t, storage);
  assert.deepEqual(await greet(after.socket, { resumed: true }), {
    session: 's', secret: 'x', open: [1, 2], streams: [{ id: 1, next: 1, credit: 1 << 20 }, { id: 2, next: 0, credit: 1 << 20 }],
  });
  assert.deepEqual(after.restored, [{ id: 1, service: 'orders', note: { n: 7 } }, { id: 2, service: 'basket', note: undefined }]);
  const fresh = after.client.request('echo', 4);
  assert.ok(fresh.id > 3, 'no id is used twice in a session');
  after.socket.push({ method: '$/reply', params: { id: 1, n: 0, data: 'part' }, seq: 1 });
  after.socket.push({ method: '$/reply', params: { id: 1, n: 1, data: 'more' }, seq: 2 });
  after.socket.push({ id: 1, result: 'one', seq: 3, meta: { trace: {} } });
  after.socket.push({ id: 1, result: 'again', seq: 4 });
  after.socket.push({ id: 3, result: 'surfaced', seq: 5 });
  after.socket.push({ id: 2, error: { code: -32001, message: '', data: { code: 'timeout', outcome: 'unknown', retry: false } }, seq: 6 });
  await settle();
  assert.deepEqual(after.orphans.map(({ id, service, note, part, data, result, error, meta }) => [id, service, note, part ?? error?.code ?? result, data ?? meta]), [
    [1, 'orders', { n: 7 }, 1, 'more'], [1, 'orders', { n: 7 }, 'one', { trace: {} }], [2, 'basket', undefined, 'timeout', undefined],
  ]);
  after.client.cancel(1);
  after.socket.push({ id: fresh.id, result: 4 });
  assert.equal(await fresh, 4);
});

test('a tab that was duplicated begins a session of its own, and leaves the other in peace', async (t) => {
  const storage = new FakeStorage();
  const first = load(t, storage);
  await greet(first.socket);
  const answer = first.client.request('orders', 1);
  mock.timers.tick(250);

  const twin = load(t, storage.copy());
  twin.socket.open();
  mock.timers.tick(500);
  assert.equal(await greet(twin.socket, { session: 't', secret: 'y' }), undefined, 'it resumes nothing');
  assert.deepEqual([twin.restored, twin.client.session], [[], 't']);
  first.socket.push({ id: 1, result: 'mine' });
  assert.equal(await answer, 'mine');
  assert.deepEqual(twin.orphans, []);
});

test('a page that crashed is followed by one that goes on, from what was last written down', async (t) => {
  const storage = new FakeStorage();
  const before = load(t, storage);
  await greet(before.socket);
  before.client.request('orders', 1).catch(() => {});
  mock.timers.tick(250);
  before.client.request('orders', 2).catch(() => {}); // 250 ms have not passed
  globally(t, 'navigator', { locks: new FakeLocks() }); // a page that is gone holds no locks

  const after = load(t, storage);
  assert.deepEqual((await greet(after.socket, { resumed: true })).open, [1]);
  const fresh = after.client.request('orders', 3);
  assert.ok(fresh.id > 2);
  fresh.catch(() => {});
});

test('without continuity, orphans are session_gone; closed, nothing is left behind', async (t) => {
  const storage = new FakeStorage();
  const before = load(t, storage);
  await greet(before.socket);
  before.client.request('orders', 1).catch(() => {});
  before.fire('pagehide', { persisted: false });

  const after = load(t, storage);
  assert.ok(await greet(after.socket, { session: 't', resumed: false }));
  await settle();
  assert.deepEqual(after.orphans.map(({ id, error }) => [id, error.code]), [[1, 'session_gone']]);
  after.client.close();
  assert.equal(storage.items.size, 0);
  after.fire('pagehide', { persisted: false });
  mock.timers.tick(1000);
  assert.equal(storage.items.size, 0);
});

test('a session that another socket took over is not resumed by the next page', async (t) => {
  const storage = new FakeStorage();
  const { socket, client } = load(t, storage);
  await greet(socket);
  socket.lose(4409);
  assert.equal(client.state, 'closed');
  assert.equal(storage.items.size, 0);
});

test('a page that was put aside goes on when it is back, unless its session went elsewhere', async (t) => {
  const storage = new FakeStorage();
  const { client, socket, fire } = load(t, storage);
  await greet(socket);
  fire('pagehide', { persisted: true });
  fire('pageshow', { persisted: true });
  await settle();
  assert.equal(client.state, 'open');

  fire('pagehide', { persisted: true });
  const other = load(t, storage.copy());
  assert.ok(await greet(other.socket, { resumed: true }));
  fire('pageshow', { persisted: true });
  mock.timers.tick(500);
  await settle();
  assert.deepEqual([client.state, other.client.state], ['closed', 'open']);
});

test('a storage that is full, forbidden or holds nonsense costs the reload and nothing else', async (t) => {
  fakeWindow(t);
  const fail = () => {
    throw new Error('forbidden');
  };
  for (const storage of [{ getItem: fail, setItem: fail, removeItem: fail }, { getItem: () => '{"session":1}', setItem: fail, removeItem: fail }]) {
    const { client, socket } = load(t, /** @type {any} */ (storage));
    assert.equal(await greet(socket), undefined);
    const answer = client.request('orders', 1);
    socket.push({ id: 1, result: 'one' });
    assert.equal(await answer, 'one');
    client.close();
  }
});
