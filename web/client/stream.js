// An answer that comes in parts, at its reader's own pace.

const WINDOW = 32; // parts that a reader is ready for and has not taken
const PLENTY = 1 << 20; // parts, for a request of an earlier page, whose parts become events

/** @typedef {import('./call.js').RequestOptions & {window?: number}} StreamOptions `window`: parts that may wait here, 32 */

/** For how many parts a reader is ready. */
export class Credit {
  /** @param {number} window */
  constructor(window) {
    this.window = window;
    /** The number of the first part that it is not ready for. */ this.ready = window;
    /** What of that the gateway knows. */ this.told = window;
  }

  /** Notes that a part was taken, and tells whether it is time to say so. */
  took() {
    return ++this.ready - this.told > this.window / 2;
  }

  /** How much more than the gateway knows; from now on it does. */
  owed() {
    const more = this.ready - this.told;
    this.told = this.ready;
    return more;
  }
}

/**
 * What a client that comes back says of those of its requests that are answered in parts.
 * @param {import('./call.js').Call[]} calls
 */
export function restate(calls) {
  const streams = calls.filter((call) => call.credit || call.parts > 0 || call.frame === '');
  return streams.map(({ id, parts, credit, frame }) => {
    credit?.owed();
    return { id, next: parts, credit: credit ? Math.max(0, credit.ready - parts) : frame === '' ? PLENTY : undefined };
  });
}

/**
 * Makes a request and yields its answer part by part, the final reply last, unless it is
 * empty. It throws a ParleyError where the answer ends in one. Whoever leaves the loop
 * cancels the request.
 * @param {(options: {credit: Credit, onPart: (data: any) => void}) => import('./call.js').Pending} request
 * @param {(id: number) => void} tell says that there is credit to be given
 * @param {number} [window]
 */
export async function* read(request, tell, window = WINDOW) {
  const credit = new Credit(window);
  /** @type {any[]} */ const parts = [];
  /** @type {{result?: any, error?: Error}|undefined} */ let end;
  let wake = () => {};
  const call = request({ credit, onPart: (data) => void (parts.push(data), wake()) });
  const ended = (/** @type {typeof end} */ how) => void ((end = how), wake());
  call.then((result) => ended({ result }), (error) => ended({ error }));
  try {
    for (;;) {
      if (parts.length > 0) {
        yield parts.shift();
        if (credit.took()) tell(call.id);
      } else if (!end) {
        await new Promise((resolve) => (wake = () => resolve(undefined)));
      } else if (end.error) {
        throw end.error;
      } else {
        if (end.result !== null) yield end.result;
        return;
      }
    }
  } finally {
    if (!end) call.cancel();
  }
}
