// What happens to an order meanwhile, as its events tell: a subscription.

/** @typedef {import('./journey.js').Journey} Journey */
/** @typedef {{state: string, note: string, event: string, at: number}} Happening `at`: ms since the request was made */

const TOPIC = 'orders.events';
const LAST = new Set(['VALIDATED', 'FAILED']);
const LONGEST = 60_000; // ms: nobody may validate it

/**
 * Subscribes to the events of the order that a journey asks for, if it does, and waits
 * until that holds. They go into journey.events.
 * @param {import('/client/parley.js').Client} client
 * @param {Journey} journey
 * @param {() => void} progress told of each event
 */
export async function watch(client, journey, progress) {
  const { order } = /** @type {any} */ (journey.params) ?? {};
  if (journey.service !== 'checkout' || typeof order !== 'string' || !order) return;
  const events = client.subscribe(TOPIC, order);
  follow(events, journey, progress);
  setTimeout(() => events.close(), LONGEST);
  try {
    await events.ready;
  } catch {
    // this gateway has no such topic, or this session follows as much as it may
  }
  journey.started = performance.now();
}

/** @param {import('/client/subscribe.js').Subscription} events @param {Journey} journey @param {() => void} progress */
async function follow(events, journey, progress) {
  try {
    for await (const { data, event } of events) {
      journey.events.push({ state: data.state, note: tell(data), event, at: performance.now() - journey.started });
      progress();
      if (LAST.has(data.state)) return;
    }
  } catch {
    // it was refused, or the session is gone: the journey tells
  }
}

/** @param {any} data */
function tell({ check, total, why }) {
  if (check) return `${check.name}: ${check.ok ? 'yes' : check.why ?? 'no'}`;
  return why ?? (total ? `${total} EUR` : '');
}
