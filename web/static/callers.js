// The two doors: how a request goes out, and what comes back of it.

import { ParleyError } from '/client/parley.js';

/** @typedef {{service: string, params: unknown, meta: Meta}} Question */
/** @typedef {{key?: string, timeout?: number, headers?: Object<string, string>}} Meta */
/** @typedef {import('./journey.js').Journey} Journey */

/**
 * Asks over the socket. It answers when the journey has its outcome.
 * @param {import('/client/parley.js').Client} client
 * @param {Question} question
 * @param {Journey} journey
 * @param {() => void} accepted told once it is safe in Kafka
 */
export async function overSocket(client, { service, params, meta }, journey, accepted) {
  const onAccepted = () => {
    journey.acceptedAt = journey.latency;
    accepted();
  };
  // After a reload, the journey is made anew of the note.
  const call = client.request(service, params, { ...meta, want: ['trace'], onAccepted, note: journey });
  journey.cancel = call.cancel;
  try {
    const result = await call;
    finish(journey, call.meta?.trace);
    journey.result = result;
  } catch (error) {
    finish(journey, call.meta?.trace, error);
  }
}

/**
 * Asks over HTTP, at the node with this address.
 * @param {string} url
 * @param {Question} question
 * @param {Journey} journey
 */
export async function overHTTP(url, question, journey) {
  const abort = new AbortController();
  journey.cancel = () => abort.abort();
  try {
    const response = await fetch(address(url, question), { ...callOf(question), signal: abort.signal });
    const body = new Uint8Array(await response.arrayBuffer());
    const trace = readJSON(response.headers.get('parley-trace') ?? '');
    const text = new TextDecoder().decode(body);
    if (response.ok) {
      finish(journey, trace);
      journey.result = readJSON(text) ?? (body.length ? text : null);
    } else {
      finish(journey, trace, fromProblem(response, readJSON(text)));
    }
  } catch (error) {
    const word = abort.signal.aborted ? 'cancelled' : 'unavailable';
    const message = word === 'cancelled' ? 'this page cancelled the call' : String(error);
    finish(journey, undefined, new ParleyError({ code: 0, message, data: { code: word, outcome: 'unknown', retry: false } }));
  }
}

/** The same request as a command, to be pasted. @param {string} url @param {Question} question */
export function asCurl(url, question) {
  const { headers, body } = callOf(question);
  const quote = (/** @type {string} */ text) => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = [`curl -i ${quote(address(url, question))}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`  -H ${quote(`${name}: ${value}`)}`);
  lines.push(`  --data-binary ${quote(typeof body === 'string' ? body : new TextDecoder().decode(body))}`);
  return lines.join(' \\\n');
}

/** @param {string} url @param {Question} question */
const address = (url, { service }) => new URL(`/services/${encodeURIComponent(service)}`, url).href;

/** @param {Question} question */
function callOf({ params, meta }) {
  const bytes = params instanceof Uint8Array;
  /** @type {Object<string, string>} */
  const headers = { 'content-type': bytes ? 'text/plain' : 'application/json', 'parley-want': 'trace', ...meta.headers };
  if (meta.timeout) headers.prefer = `wait=${Math.ceil(meta.timeout / 1000)}`; // HTTP has whole seconds
  return { method: 'POST', headers, body: bytes ? /** @type {Uint8Array<ArrayBuffer>} */ (params) : (JSON.stringify(params) ?? '') };
}

/** @param {Response} response @param {any} problem see RFC 9457 */
function fromProblem(response, problem) {
  return new ParleyError({
    code: response.status,
    message: problem?.detail ?? response.statusText,
    data: { code: `http_${response.status}`, outcome: 'unknown', ...problem },
  });
}

/** @param {Journey} journey @param {any} trace @param {any} [error] */
export function finish(journey, trace, error) {
  journey.ended = performance.now();
  journey.trace = trace;
  journey.error = error;
  journey.outcome = error ? error.code : 'ok';
}

/** @param {string} text */
function readJSON(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
