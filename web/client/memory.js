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

/**
 * Whose session it is. `entry` is what there is to write down now; `restored` gets what an
 * earlier page left; `leaving` is told that the page may be going; `lost`, that another page
 * has the session now.
 * @typedef {object} Host
 * @property {() => Entry} entry
 * @property {(left: Entry) => void} restored
 * @property {() => void} leaving
 * @property {() => void} lost
 */

/** @typedef {Pick<Storage, 'getItem'|'setItem'|'removeItem'>} Store */

export class Memory {
  /** @type {Store} */ #store;
  /** @type {string} */ #key;
  /** @type {Host} */ #host;
  /** @type {Promise<void>|undefined} while it is not known whether an earlier page's session is ours */ restoring;
  /** Ids up to this one may be taken, whoever goes on with the earlier session. */ used;
  #reserved = 0; // the highest id that is written down as used
  #over = false;
  #claimed = '';
  /** @type {(() => void)|undefined} */ #release;
  /** @type {ReturnType<typeof setTimeout>|undefined} */ #timer;

  /**
   * @param {Store} store
   * @param {string} key
   * @param {Host} host
   */
  constructor(store, key, host) {
    this.#store = store;
    this.#key = key;
    this.#host = host;
    const left = this.#load();
    this.used = left?.used ?? 0;
    if (left) this.restoring = this.#restore(left).finally(() => (this.restoring = undefined));
    globalThis.addEventListener?.('pagehide', this.#hidden);
    globalThis.addEventListener?.('pageshow', this.#shown);
  }

  /** Gives what an earlier page left to the host, unless that is another tab's. @param {Entry} left */
  async #restore(left) {
    if ((await this.claim(left.session)) && !this.#over) this.#host.restored(left);
  }

  /** The page is left: it is reloaded, closed, or put aside. */
  #hidden = () => {
    this.#host.leaving();
    this.save();
    this.#letGo(); // to the page after the reload
  };

  /** The page is back, after it was put aside. @param {PageTransitionEvent} event */
  #shown = async ({ persisted }) => {
    const { session } = this.#host.entry();
    if (persisted && session && !(await this.claim(session)) && !this.#over) this.#host.lost();
  };

  /** @returns {Entry|undefined} */
  #load() {
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
    this.#letGo();
    this.#claimed = session;
    const release = await claim(`parley ${session}`);
    if (session !== this.#claimed) release?.(); // another was claimed meanwhile
    else if (release) this.#release = release;
    else this.#claimed = '';
    return release !== undefined;
  }

  #letGo() {
    this.#release?.();
    this.#release = undefined;
    this.#claimed = '';
  }

  /** A request has been made or has ended. @param {number} used the highest id so far */
  changed(used) {
    if (used > this.#reserved) this.save();
    else this.#timer ??= setTimeout(() => this.save(), AFTER);
  }

  /** Writes down now what is to be written down soon. */
  settle() {
    if (this.#timer !== undefined) this.save();
  }

  save() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const entry = this.#host.entry();
    if (!entry.session || this.#over) return; // no welcome yet
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
    globalThis.removeEventListener?.('pagehide', this.#hidden);
    globalThis.removeEventListener?.('pageshow', this.#shown);
    this.#over = true;
    this.#letGo();
    try {
      this.#store.removeItem(this.#key);
    } catch {
      // forbidden: nothing was written either
    }
  }
}
