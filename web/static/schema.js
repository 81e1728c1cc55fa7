// A JSON Schema for people: as a tree, and as an example.

import { h } from './dom.js';

const DEEP = 8; // levels shown; a schema may refer to itself

/** What a schema refers to. @param {any} api @param {any} schema */
export function resolve(api, schema) {
  for (let n = 0; n < DEEP && schema?.$ref; n++) {
    schema = schema.$ref.slice(2).split('/').reduce((at, token) => at?.[decode(token)], api);
  }
  return schema ?? {};
}

/** @param {string} token */
const decode = (token) => token.replaceAll('~1', '/').replaceAll('~0', '~');

/** What a value may be, in a word or two. @param {any} s */
function typeOf(s) {
  if (s === true) return 'anything';
  if (s === false) return 'nothing';
  if (s.const !== undefined) return JSON.stringify(s.const);
  if (s.enum) return s.enum.map((v) => JSON.stringify(v)).join(' | ');
  const type = Array.isArray(s.type) ? s.type.join(' | ') : s.type ?? (s.properties ? 'object' : s.items ? 'array' : 'anything');
  return s.format ? `${type} (${s.format})` : type;
}

const LIMITS = {
  minimum: '≥', maximum: '≤', exclusiveMinimum: '>', exclusiveMaximum: '<', multipleOf: 'a multiple of', pattern: 'like',
  minLength: 'characters ≥', maxLength: 'characters ≤', minItems: 'items ≥', maxItems: 'items ≤', minProperties: 'members ≥', maxProperties: 'members ≤',
};

/** @param {any} s */
function limits(s) {
  const said = Object.entries(LIMITS).filter(([key]) => s[key] !== undefined).map(([key, sign]) => `${sign} ${s[key]}`);
  if (s.additionalProperties === false) said.push('no other members');
  if (s.uniqueItems) said.push('all different');
  if (s.default !== undefined) said.push(`default ${JSON.stringify(s.default)}`);
  return said.join(', ');
}

/**
 * A line for a value, and below it what is in it.
 * @param {any} api @param {any} schema @param {string} [name] @param {boolean} [must] @param {number} [depth]
 * @returns {HTMLElement}
 */
export function tree(api, schema, name, must = false, depth = 0) {
  const s = resolve(api, schema);
  const below = depth >= DEEP ? [] : parts(s).map(([part, of, needed]) => tree(api, of, part, needed, depth + 1));
  const says = [s.description, limits(s)].filter(Boolean).join(' · ');
  return h('li', {},
    name === undefined ? undefined : h('span', { class: 'name' }, `${name} `), h('span', { class: 'type' }, typeOf(s)),
    must ? h('span', { class: 'must' }, ' required') : undefined, says ? h('span', { class: 'says' }, says) : undefined,
    below.length ? h('ul', {}, ...below) : undefined, depth >= DEEP ? h('span', { class: 'says' }, '…') : undefined);
}

/** @param {any} s @returns {[string, any, boolean][]} */
function parts(s) {
  if (typeof s !== 'object') return [];
  /** @type {[string, any, boolean][]} */
  const all = Object.entries(s.properties ?? {}).map(([name, of]) => [name, of, (s.required ?? []).includes(name)]);
  if (s.items && typeof s.items === 'object') all.push(['each item', s.items, false]);
  for (const word of ['oneOf', 'anyOf', 'allOf']) {
    for (const [n, of] of (s[word] ?? []).entries()) all.push([`${{ oneOf: 'either', anyOf: 'any', allOf: 'all' }[word]} ${n + 1}`, of, false]);
  }
  if (s.additionalProperties && typeof s.additionalProperties === 'object') all.push(['any other', s.additionalProperties, false]);
  return all;
}

/** A value that the schema is likely to allow. @param {any} api @param {any} schema @param {number} [depth] @returns {any} */
export function exampleOf(api, schema, depth = 0) {
  const s = resolve(api, schema);
  if (depth > DEEP || typeof s !== 'object') return {};
  for (const given of [s.examples?.[0], s.example, s.const, s.default, s.enum?.[0]]) if (given !== undefined) return given;
  const either = s.oneOf ?? s.anyOf;
  if (either?.length) return exampleOf(api, either[0], depth + 1);
  if (s.allOf?.length) return Object.assign({}, ...s.allOf.map((/** @type {any} */ of) => exampleOf(api, of, depth + 1)), members(api, s, depth));
  switch (Array.isArray(s.type) ? s.type[0] : s.type ?? (s.properties ? 'object' : s.items ? 'array' : '')) {
    case 'object': return members(api, s, depth);
    case 'array': return Array.from({ length: Math.min(Math.max(s.minItems ?? 1, depth < 3 ? 1 : 0), 3) }, () => exampleOf(api, s.items ?? {}, depth + 1));
    case 'integer': case 'number': return s.minimum ?? (s.exclusiveMinimum !== undefined ? s.exclusiveMinimum + 1 : s.maximum !== undefined ? Math.min(1, s.maximum) : 1);
    case 'boolean': return true;
    case 'null': return null;
    case 'string': return 'text'.padEnd(s.minLength ?? 0, '.').slice(0, s.maxLength ?? 1e6);
  }
  return {};
}

/** The members that must be there, or where none must, all. @param {any} api @param {any} s @param {number} depth */
function members(api, s, depth) {
  const names = Object.keys(s.properties ?? {}).filter((name) => !s.required?.length || s.required.includes(name));
  return Object.fromEntries(names.filter((name) => depth < 3 || s.required?.includes(name)).map((name) => [name, exampleOf(api, s.properties[name], depth + 1)]));
}
