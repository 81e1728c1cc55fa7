// What a browser has and Node has not: locks, sessionStorage, events of the window.

import { mock } from 'node:test';

/** Locks as the specification has them, as far as claim.js needs. */
export class FakeLocks {
  /** @type {Map<string, {grant: () => void}[]>} who waits, by name that is held */ #held = new Map();

  /** @param {string} name @param {{signal: AbortSignal}} options @param {() => Promise<void>} callback */
  request(name, { signal }, callback) {
    return new Promise((resolve, reject) => {
      const grant = () => callback().then(() => {
        this.#next(name);
        resolve(undefined);
      });
      const waiting = this.#held.get(name);
      if (!waiting) {
        this.#held.set(name, []);
        grant();
        return;
      }
      const entry = { grant };
      waiting.push(entry);
      signal.addEventListener('abort', () => {
        const at = waiting.indexOf(entry);
        if (at >= 0) reject(new Error('aborted')), waiting.splice(at, 1);
      });
    });
  }

  /** @param {string} name */
  #next(name) {
    const next = this.#held.get(name)?.shift();
    if (next) next.grant();
    else this.#held.delete(name);
  }
}

export class FakeStorage {
  /** @type {Map<string, string>} */ items = new Map();
  getItem = (/** @type {string} */ key) => this.items.get(key) ?? null;
  setItem = (/** @type {string} */ key, /** @type {string} */ value) => void this.items.set(key, value);
  removeItem = (/** @type {string} */ key) => void this.items.delete(key);

  /** What a tab that is duplicated begins with. */
  copy() {
    const copy = new FakeStorage();
    copy.items = new Map(this.items);
    return copy;
  }
}

/** Puts something into the global scope until the test ends. @param {import('node:test').TestContext} t @param {string} name @param {any} value */
export function globally(t, name, value) {
  const before = Object.getOwnPropertyDescriptor(globalThis, name);
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  t.after(() => (before ? Object.defineProperty(globalThis, name, before) : Reflect.deleteProperty(globalThis, name)));
}

/** The window's events. It answers how to fire one. @param {import('node:test').TestContext} t */
export function fakeWindow(t) {
  const target = new EventTarget();
  for (const name of /** @type {const} */ (['addEventListener', 'removeEventListener'])) globally(t, name, target[name].bind(target));
  return (/** @type {string} */ type, /** @type {object} */ members = {}) => target.dispatchEvent(Object.assign(new Event(type), members));
}

/** Time passes in which nothing runs, as in a sleep: the timers are late. @param {number} ms */
export const sleep = (ms) => mock.timers.tick(ms);

/** Lets promises settle. */
export const settle = () => new Promise(setImmediate);
