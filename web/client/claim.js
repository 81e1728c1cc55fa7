// One page at a time may go on with a session: a tab that is duplicated gets a
// copy of the original's sessionStorage, and the two must not fight over it.

const PATIENCE = 500; // ms in which a page that is being left lets go
const SILENCE = 200; // ms in which another page would have spoken up

/**
 * Claims a name among the pages of this origin. It answers how to let go of it,
 * or undefined where another page has it.
 * @param {string} name
 * @returns {Promise<(() => void)|undefined>}
 */
export function claim(name) {
  if (globalThis.navigator?.locks) return lock(navigator.locks, name);
  if (globalThis.BroadcastChannel) return ask(new BroadcastChannel(name)); // pages over plain http have no locks
  return Promise.resolve(() => {});
}

/** @param {LockManager} locks @param {string} name @returns {Promise<(() => void)|undefined>} */
function lock(locks, name) {
  return new Promise((resolve) => {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), PATIENCE);
    const held = () => {
      clearTimeout(timer);
      return /** @type {Promise<void>} */ (new Promise((release) => resolve(() => release())));
    };
    locks.request(name, { signal: abort.signal }, held).catch(() => resolve(undefined));
  });
}

/** @param {BroadcastChannel} channel @returns {Promise<(() => void)|undefined>} */
function ask(channel) {
  return new Promise((resolve) => {
    const close = () => channel.close();
    const timer = setTimeout(() => {
      channel.onmessage = ({ data }) => data === 'whose?' && channel.postMessage('mine');
      resolve(close);
    }, SILENCE);
    channel.onmessage = ({ data }) => {
      if (data !== 'mine') return;
      clearTimeout(timer);
      close();
      resolve(undefined);
    };
    channel.postMessage('whose?');
  });
}
