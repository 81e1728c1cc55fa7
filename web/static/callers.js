// The two doors: how a request goes out, and what comes back of it.

import { ParleyError } from '/client/parley.js';

import { authorization } from './token.js';

const LINES = 'application/x-ndjson';

/** @typedef {{service: string, params: unknown, meta: Meta}} Question */
/** @typedef {{key?: string, timeout?: number, headers?: Object<string, string>}} Meta */
/** @typedef {import('./journey.js').Journey} Journey */

/**
 * Asks over the socket. It answers when the journey has its outcome.
 * @param {import('/client/parley.js').Client} client
 * @param {Question} question
 * @param {Journey} journey
 * @param {() => void} progress told once it is safe in Kafka, and of each part of its answer
 */
export async function overSocket(client, { service, params, meta }, journey, progress) {
  const onAccepted = () => {
    journey.acceptedAt = journey.latency;
    progress();
  };
  const onPart = (/** @type {any} */ data) => {
    journey.add(data);
    progress();
  };
  // After a reload, the journey is made anew of the note.
  const call = client.request(service, params, { ...meta, want: ['trace'], onAccepted, onPart, note: journey });
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
 * @param {() => void} progress told of each part of its answer
 */
export async function overHTTP(url, question, journey, progress) {
  const abort = new AbortController();
  journey.cancel = () => abort.abort();
  try {
    const call = callOf(question);
    const response = await fetch(address(url, question), { ...call, headers: { ...call.headers, ...authorization() }, signal: abort.signal });
    const trace = readJSON(response.headers.get('parley-trace') ?? '');
    if (response.headers.get('content-type') === LINES) return await readParts(response, journey, trace, progress);
    const body = new Uint8Array(await response.arrayBuffer());
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

/**
 * Reads a streamed answer line by line; the last one is the result, or an error.
 * @param {Response} response
 * @param {Journey} journey
 * @param {any} trace
 * @param {() => void} progress
 */
async function readParts(response, journey, trace, progress) {
  const decoder = new TextDecoder();
  let rest = '';
  for (let reader = /** @type {ReadableStream} */ (response.body).getReader(); ; ) {
    const { value, done } = await reader.read();
    const lines = (rest + decoder.decode(value, { stream: !done })).split('\n');
    rest = /** @type {string} */ (lines.pop());
    for (const line of lines) journey.add(readJSON(line));
    if (done) break;
    progress();
  }
  const last = journey.parts.pop();
  finish(journey, trace, last?.$error && fromProblem(response, last.$error));
  if (!last?.$error) journey.result = last;
}

/** The same request as a command, to be pasted. @param {string} url @param {Question} question */
export function asCurl(url, question) {
  const { headers, body } = callOf(question);
  const quote = (/** @type {string} */ text) => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = [`curl -i ${quote(address(url, question))}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`  -H ${quote(`${name}: ${value}`)}`);
  if (authorization().authorization) lines.push('  -H "Authorization: Bearer $token"'); // it is nobody else's to see
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
  if (meta.headers?.['x-demo-parts']) headers.accept = LINES;
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
