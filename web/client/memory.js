// What a session leaves for the page that comes after a reload.

import { claim } from './claim.js';

const AFTER = 250; // ms from a change until it is written down
const BLOCK = 1000; // ids that may be used before that

/**
 * An open request that a page left behind.
 * @typedef {object} Left
 * @property {number} id
 * @property {string} service
 * @property {number} parts surfaced so far
 * @property {any} [note] whatever the application wanted to find again
 */

/**
 * What is written down. Ids up to `used` may have been used.
 * @typedef {{session: string, secret: string, used: number, open: Left[]}} Entry
 */

/** @typedef {Pick<Storage, 'getItem'|'setItem'|'removeItem'>} Store */

export class Memory {
  /** @type {Store} */ #store;
  /** @type {string} */ #key;
  /** @type {() => Entry} */ #now;
  #reserved = 0; // the highest id that is written down as used
  #claimed = '';
  /** @type {(() => void)|undefined} */ #release;
  /** @type {ReturnType<typeof setTimeout>|undefined} */ #timer;

  /**
   * @param {Store} store
   * @param {string} key
   * @param {() => Entry} now what there is to write down
   */
  constructor(store, key, now) {
    this.#store = store;
    this.#key = key;
    this.#now = now;
  }

  /** What an earlier page left. @returns {Entry|undefined} */
  load() {
    try {
      const entry = JSON.parse(this.#store.getItem(this.#key) ?? '');
      return typeof entry.session === 'string' && Array.isArray(entry.open) ? entry : undefined;
    } catch {
      return undefined; // nothing, or not ours
    }
  }

  /**
   * Claims a session among the pages of this origin, in place of the one claimed
   * before. It answers false where another page has it.
   * @param {string} session
   */
  async claim(session) {
    if (session === this.#claimed) return true;
    this.letGo();
    this.#claimed = session;
    const release = await claim(`parley ${session}`);
    if (session !== this.#claimed) release?.(); // another was claimed meanwhile
    else if (release) this.#release = release;
    else this.#claimed = '';
    return release !== undefined;
  }

  /** Lets another page, the one after a reload, claim the session. */
  letGo() {
    this.#release?.();
    this.#release = undefined;
    this.#claimed = '';
  }

  /** A request has been made or has ended. @param {number} used the highest id so far */
  changed(used) {
    if (used > this.#reserved) this.save();
    else this.#timer ??= setTimeout(() => this.save(), AFTER);
  }

  save() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const entry = this.#now();
    if (!entry.session) return; // no welcome yet
    this.#reserved = entry.used += BLOCK;
    try {
      this.#store.setItem(this.#key, JSON.stringify(entry));
    } catch {
      // full or forbidden: the session then ends with the page
    }
  }

  /** The session has ended. */
  forget() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.letGo();
    try {
      this.#store.removeItem(this.#key);
    } catch {
      // forbidden: nothing was written either
    }
  }
}
