import assert from 'node:assert/strict';
import { test } from 'node:test';

/** @type {Map<string, string>} */ const stored = new Map();
/** @type {any} */ const bearer = { hidden: true };
/** @type {any} */ const field = new EventTarget();
const page = /** @type {any} */ (globalThis);
page.sessionStorage = { getItem: (/** @type {string} */ key) => stored.get(key) ?? null, setItem: (/** @type {string} */ key, /** @type {string} */ value) => stored.set(key, value), removeItem: (/** @type {string} */ key) => stored.delete(key) };
page.document = { getElementById: (/** @type {string} */ id) => ({ bearer, token: field })[id] };

const { askForToken, authorization, token } = await import('../token.js');

test('a token is asked for where there is authentication, kept, shown, and forgotten', () => {
  let told = 0;
  askForToken(undefined, () => told++);
  assert.equal(bearer.hidden, true);
  assert.deepEqual([token(), authorization()], [undefined, {}]);
  askForToken(true, () => told++);
  assert.equal(bearer.hidden, false);
  field.value = '  Bearer a.b.c ';
  field.dispatchEvent(new Event('change'));
  assert.deepEqual([token(), authorization()], ['a.b.c', { authorization: 'Bearer a.b.c' }]);
  field.value = '';
  field.dispatchEvent(new Event('change'));
  assert.deepEqual([token(), authorization(), stored.size], [undefined, {}, 0]);
  assert.equal(told, 4, 'both listeners, twice');
});
