// What can be called: the services of /openapi.json, with examples that work when pasted.

import { byID, clip, h } from './dom.js';
import { exampleOf, resolve, tree } from './schema.js';
import { CALLS } from './snippets.js';
import './theme.js';
import { askForToken, authorization, token } from './token.js';

const DOOR = 'parley-docs-door';

/** Each service is a path of the document that says so. @param {any} api */
function servicesOf(api) {
  return Object.entries(api.paths)
    .filter(([, item]) => item['x-service'])
    .map(([path, item]) => ({ path, item, name: item['x-service'] }))
    .sort((a, b) => a.name.localeCompare(b.name));
}

/** @param {number} ms */
const seconds = (ms) => (ms % 1000 ? `${ms} ms` : ms % 60_000 ? `${ms / 1000} s` : `${ms / 60_000} min`);

/** @param {string} term @param {string} value */
const fact = (term, value) => h('div', {}, h('dt', {}, term), h('dd', { class: 'mono' }, value));

/** @param {any} api @param {{name: string, path: string, item: any}} service */
function article(api, { name, path, item }) {
  const isView = !item.post;
  const request = item.post?.requestBody.content['application/json'].schema;
  const reply = (item.post ?? item.get).responses['200'].content['application/json']?.schema;
  const payload = isView ? item.parameters.find(({ name }) => name === 'key').example : request ? exampleOf(api, request) : name === 'echo' ? 'hi' : {};
  return h('article', { id: anchor(name), 'aria-labelledby': `${anchor(name)}-title` },
    h('div', { class: 'head' }, h('h2', { id: `${anchor(name)}-title` }, name)),
    h('p', { class: 'about' }, item.summary),
    h('dl', { class: 'facts' },
      fact('HTTP', path), fact('JSON-RPC method', name), ...(isView ? [] : [fact('Topic', item['x-topic'])]),
      fact('Timeout', `${seconds(item['x-timeout'])}, at most ${seconds(item['x-max-timeout'])}`),
      ...(isView ? [] : [fact('While nobody serves', item['x-wait'] ? 'requests wait' : 'no_responders')])),
    h('div', { class: 'columns' },
      h('section', {}, h('h3', {}, 'Request'), ...shown(api, request, isView ? 'A key.' : 'Any JSON, or bytes.')),
      h('section', {}, h('h3', {}, 'Reply'), ...shown(api, reply, isView ? 'The newest event of that key.' : 'Whatever the service answers.')),
      h('section', { class: 'wide' }, h('h3', {}, 'Call it'), ...CALLS.map((call) => snippet(call.door, call.text(location, path, name, payload, Boolean(token()))))),
      ...(isView ? [waiting(path, name, payload, item.parameters.find(({ name }) => name === 'until')?.schema.oneOf ?? [])] : [])));
}

/**
 * How to wait for a view's events, and for what.
 * @param {string} path @param {string} name @param {string} key @param {{const: string, description: string}[]} conditions
 */
function waiting(path, name, key, conditions) {
  return h('section', { class: 'wide' }, h('h3', {}, 'Wait for it'),
    h('p', { class: 'note' }, 'Prefer: wait (on a socket meta.wait, in ms) waits until the key has an event; with If-None-Match (meta.etag), until it has another than the ETag\'s.',
      conditions.length ? ' With until (meta.until) it waits for an event of which a condition is true:' : undefined),
    conditions.length ? h('ul', { class: 'tree' }, ...conditions.map((c) => h('li', {}, h('span', { class: 'name' }, `${c.const} `), h('span', { class: 'type' }, c.description)))) : undefined,
    ...CALLS.map((call) => snippet(call.door, call.text(location, path, name, key, Boolean(token()), { until: conditions[0]?.const }))));
}

/** A schema as a tree and as it is. @param {any} api @param {any} schema @param {string} otherwise */
function shown(api, schema, otherwise) {
  if (!schema) return [h('p', { class: 'note' }, otherwise)];
  return [
    h('ul', { class: 'tree' }, tree(api, schema)),
    h('details', {}, h('summary', {}, 'JSON Schema'), h('pre', { class: 'code', tabindex: 0 }, clip(JSON.stringify(resolve(api, schema), null, 2), 40_000))),
  ];
}

/** @param {string} door @param {string} text */
function snippet(door, text) {
  const copy = h('button', { type: 'button', class: 'quiet copy', onclick: () => copied(copy, text) }, 'Copy');
  return h('div', { class: 'call', 'data-door': door }, h('pre', { class: 'code', tabindex: 0, 'aria-label': `Example with ${door}` }, text), copy);
}

/** @param {HTMLElement} button @param {string} text */
async function copied(button, text) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = byID('announce').textContent = 'Copied';
  } catch {
    button.textContent = 'Select it and copy'; // pages without TLS may not
  }
  setTimeout(() => (button.textContent = 'Copy'), 1500);
}

/** The errors, from the responses that all calls share. @param {any} api */
function errors(api) {
  const rows = Object.entries(api.components.responses).map(([name, response]) =>
    h('tr', {}, h('td', { class: 'mono' }, name.replace('problem', '')), h('td', {}, response.description.replace('A problem: ', ''))));
  return h('article', { id: 'errors', 'aria-labelledby': 'errors-title' },
    h('h2', { id: 'errors-title' }, 'Errors'),
    h('p', { class: 'about' }, 'A word, the same over HTTP (problem details, code) and on sockets (error.data.code). outcome says whether the service may have seen the request, retry whether the same one may succeed later.'),
    h('table', {}, h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'HTTP'), h('th', { scope: 'col' }, 'Words'))), h('tbody', {}, ...rows)));
}

/** @param {string} name */
const anchor = (name) => `service-${name}`;

/** @param {string} door */
function choose(door) {
  for (const call of document.querySelectorAll('.call')) /** @type {HTMLElement} */ (call).hidden = call.getAttribute('data-door') !== door;
  for (const input of document.querySelectorAll('#door input')) /** @type {HTMLInputElement} */ (input).checked = /** @type {HTMLInputElement} */ (input).value === door;
}

function follow() {
  const now = decodeURIComponent(location.hash.slice(1));
  for (const link of document.querySelectorAll('#index a')) {
    if (link.getAttribute('href') === `#${now}`) link.setAttribute('aria-current', 'true');
    else link.removeAttribute('aria-current');
  }
}

async function show() {
  const response = await fetch('/openapi.json', { headers: authorization() });
  if (response.status === 401) throw new Error(authorization().authorization ? 'the token is not good' : 'it takes a token');
  if (!response.ok) throw new Error(`/openapi.json answers ${response.status}`);
  const api = await response.json();
  const services = servicesOf(api);
  byID('index').replaceChildren(h('ul', {},
    ...services.map(({ name }) => h('li', {}, h('a', { href: `#${anchor(name)}` }, name))),
    h('li', {}, h('a', { href: '#errors' }, 'Errors'))));
  byID('services').replaceChildren(
    ...(services.length ? services.map((service) => article(api, service)) : [h('p', {}, 'This gateway has no services: its configuration names none.')]), errors(api));
  const door = localStorage.getItem(DOOR);
  choose(CALLS.some((call) => call.door === door) ? /** @type {string} */ (door) : 'curl');
  follow();
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

function begin() {
  show().catch((error) => byID('services').replaceChildren(h('p', { id: 'state', role: 'alert' }, `The description cannot be read: ${error.message}. Reload to try again.`)));
}

byID('door').addEventListener('change', ({ target }) => {
  choose(target.value);
  localStorage.setItem(DOOR, target.value);
});
addEventListener('hashchange', follow);
fetch('/page.json').then((response) => response.json()).then(({ auth }) => askForToken(auth, begin), () => {}); // else there is none to enter
begin();
