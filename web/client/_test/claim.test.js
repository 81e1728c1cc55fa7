import assert from 'node:assert/strict';
import { test } from 'node:test';

import { FakeLocks, globally } from './browser.js';
import { claim } from '../claim.js';

test('one page has a name at a time: the next gets it when it is let go, and not before', async (t) => {
  globally(t, 'navigator', { locks: new FakeLocks() });
  const release = await claim('s');
  assert.ok(release);
  assert.ok(await claim('another'));
  assert.equal(await claim('s'), undefined);
  const next = claim('s'); // a reload: the page before lets go a moment later
  release();
  assert.ok(await next);
});

test('pages without locks ask each other', async (t) => {
  globally(t, 'navigator', {});
  const release = await claim('s');
  assert.ok(release);
  assert.equal(await claim('s'), undefined);
  release();
  const again = await claim('s');
  assert.ok(again);
  again();
});

test('where pages cannot speak, everybody has what they ask for', async (t) => {
  globally(t, 'navigator', undefined);
  globally(t, 'BroadcastChannel', undefined);
  assert.ok(await claim('s'));
  assert.ok(await claim('s'));
});
