// Noticing what a browser does not tell its sockets: that the network went away
// or came back, that the machine slept, that somebody looks again.

const BEAT = 10_000; // ms
const SLEPT = 20_000; // a beat so late means that nothing ran meanwhile

/**
 * Calls heard whenever the socket in use may have died unnoticed, and the next
 * may be had at once. It answers how to stop that.
 * @param {() => void} heard
 * @returns {() => void}
 */
export function watchWake(heard) {
  /** @type {ReturnType<typeof setTimeout>} */ let timer;
  const beat = () => {
    const due = Date.now() + BEAT;
    timer = setTimeout(() => {
      if (Date.now() - due > SLEPT) heard();
      beat();
    }, BEAT);
    /** @type {any} */ (timer).unref?.(); // where there are processes, it is no reason for one to live on
  };
  const seen = () => globalThis.document?.visibilityState === 'visible' && heard();

  beat();
  globalThis.addEventListener?.('online', heard);
  globalThis.addEventListener?.('offline', heard);
  globalThis.document?.addEventListener('visibilitychange', seen);
  return () => {
    clearTimeout(timer);
    globalThis.removeEventListener?.('online', heard);
    globalThis.removeEventListener?.('offline', heard);
    globalThis.document?.removeEventListener('visibilitychange', seen);
  };
}
