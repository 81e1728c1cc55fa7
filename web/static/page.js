// The demo page: it joins the form, the two doors, and what shows a request.

import './theme.js';

import { asCurl, finish, overHTTP, overSocket } from './callers.js';
import { Composer } from './composer.js';
import { Connection } from './connection.js';
import { CALM, byID, duration, soon } from './dom.js';
import { Fleet } from './fleet.js';
import { Frames } from './frames.js';
import { Journey } from './journey.js';
import { Latency } from './latency.js';
import { Past } from './past.js';
import { Timetable } from './timetable.js';
import { askForToken, authorization } from './token.js';
import { showVerdict } from './verdict.js';
import { watch } from './watch.js';

const KEPT = 1000; // journeys
const THREADS = 60; // drawn behind the chosen one

/** @type {{node: string, nodes: import('./connection.js').Node[], services: {name: string, topic: string, timeout: number}[], control?: string, auth?: boolean}} */
const facts = await learn();

/** @type {Journey[]} newest first */ const journeys = [];
/** @type {Journey|undefined} */ let chosen;
let made = 0;
/** @type {Map<number, Journey>} that began before a reload, by the client's id */ const orphans = new Map();
const showOthers = soon(() => show(), CALM);
const showProgress = soon(() => showVerdict(chosen), 50);

const connection = new Connection(facts.nodes);
const fleet = new Fleet(facts.control);
const frames = new Frames();
const latency = new Latency();
const past = new Past((journey) => choose(journey, false));
const timetable = new Timetable(byID('timetable'), stations);
const composer = new Composer(facts.services, { send, burst, changed: showTerminal });

on('frame', ({ direction, text }) => frames.add(direction, text));
on('close', ({ code }) => lose(fleet.fate(connection.nodeName) ?? (code === 4000 ? 'dropped' : 'lost')));
on('state', ({ state }) => state === 'connecting' && lose(fleet.fate(connection.nodeName) ?? 'moved'));
on('welcome', ({ node, resumed }) => resumed && goOn(node));
on('restored', ({ requests }) => requests.forEach(adopt));
on('orphan', answered);
connection.addEventListener('node', showTerminal);
byID('cancel').addEventListener('click', () => chosen?.cancel());
byID('replay').addEventListener('click', () => timetable.show(chosen, journeys.slice(0, THREADS), true));
byID('forget').addEventListener('click', () => {
  journeys.splice(0, journeys.length, ...journeys.filter((journey) => journey.ended === undefined));
  choose(journeys[0], false);
});

byID('terminal').parentElement.open = matchMedia('(min-width: 1600px)').matches;
askForToken(facts.auth, () => location.reload()); // to the services that it may use
if (!facts.auth || facts.services.length > 0) connection.connect();
choose(undefined, false);
showTerminal();

/** Listens to the client. @param {string} type @param {(detail: any) => void} heard */
function on(type, heard) {
  connection.addEventListener(type, (event) => heard(/** @type {CustomEvent} */ (event).detail));
}

/** Those that are on their way over the socket. */
function travelling() {
  return journeys.filter((journey) => journey.ended === undefined && journey.door === 'ws');
}

/** @param {import('./journey.js').Gap['why']} why */
function lose(why) {
  for (const journey of travelling()) journey.lose(why);
  showGaps();
}

/** @param {string} node */
function goOn(node) {
  for (const journey of travelling()) journey.resume(node);
  showGaps();
}

function showGaps() {
  if (chosen?.gaps.length && chosen.ended === undefined) choose(chosen, false);
}

/** Goes on showing a request that the page before this one made. @param {{id: number, note?: any}} request */
function adopt({ id, note }) {
  if (typeof note?.number !== 'number') return;
  const journey = Journey.goesOn(note);
  journey.cancel = () => connection.client?.cancel(id);
  made = Math.max(made, journey.number);
  orphans.set(id, journey);
  journeys.unshift(journey);
  choose(journey, false);
}

/** @param {{id: number, result?: any, error?: any, meta?: any, part?: number, data?: any}} outcome */
function answered({ id, result, error, meta, part, data }) {
  const journey = orphans.get(id);
  if (!journey) return;
  if (part !== undefined) {
    journey.add(data);
    return progress(journey);
  }
  orphans.delete(id);
  finish(journey, meta?.trace, error);
  journey.result = result;
  ended(journey);
}

/** What the gateway says of itself, as soon as it answers. */
async function learn() {
  for (;;) {
    try {
      const facts = await (await fetch('/page.json', { headers: authorization() })).json();
      await Promise.all(facts.nodes.map(learnName));
      return facts;
    } catch {
      byID('state').textContent = 'the gateway does not answer';
      await new Promise((again) => setTimeout(again, 2000));
    }
  }
}

/** Asks a node of which only the address is known for its name. @param {import('./connection.js').Node} node */
async function learnName(node) {
  try {
    node.id ??= (await (await fetch(new URL('/page.json', node.url), { signal: AbortSignal.timeout(1000) })).json()).node;
  } catch {
    // it is away, and goes by its address
  }
}

/** @param {import('./callers.js').Question} question @param {'ws'|'http'} door */
function send(question, door) {
  chosen = begin(question, door);
  showIfSlow(chosen);
  bringIntoView();
}

/** @param {import('./callers.js').Question} question @param {'ws'|'http'} door @param {number} count */
function burst(question, door, count) {
  for (let i = 0; i < count; i++) chosen = begin(question, door);
  showIfSlow(/** @type {Journey} */ (chosen));
  bringIntoView();
}

/** On a phone the journey is below the form. */
function bringIntoView() {
  if (matchMedia('(max-width: 959px)').matches) byID('journey-title').scrollIntoView({ behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
}

/** Shows that a request is on its way, unless it is back before one could see it. @param {Journey} journey */
function showIfSlow(journey) {
  setTimeout(() => journey === chosen && journey.ended === undefined && choose(journey, false), CALM);
}

/** Sends a request, and shows it again when it has ended. @param {import('./callers.js').Question} question @param {'ws'|'http'} door */
function begin(question, door) {
  if (door === 'ws' && !connection.connected) connection.connect();
  const journey = new Journey(++made, question.service, door, connection.nodeName, question.params, question.meta);
  const client = /** @type {import('/client/parley.js').Client} */ (connection.client);
  const more = () => progress(journey);
  const sent = door === 'ws' ? watch(client, journey, more).then(() => overSocket(client, question, journey, more)) : overHTTP(connection.url, question, journey, more);
  sent.then(() => ended(journey));
  journeys.unshift(journey);
  journeys.length = Math.min(journeys.length, KEPT);
  return journey;
}

/** One that is shown already says so, too. @param {Journey} journey */
function progress(journey) {
  if (journey === chosen && journey.latency > CALM) showProgress();
}

/** @param {Journey} journey */
function ended(journey) {
  if (journey !== chosen) return showOthers();
  const others = journeys.some((other) => other.ended === undefined && other.latency < CALM);
  if (others) return void setTimeout(() => ended(journey), CALM); // drawing would hold them up
  choose(journey, true);
  byID('announce').textContent = `Request ${journey.number} to ${journey.service}: ${journey.outcome} after ${duration(journey.latency)}. ${journey.error?.message ?? ''}`;
}

/** @param {Journey|undefined} journey @param {boolean} replay */
function choose(journey, replay) {
  chosen = journey;
  show(replay);
  showVerdict(chosen);
}

/** @param {boolean} [replay] */
function show(replay) {
  past.show(journeys, chosen);
  latency.show(journeys);
  timetable.show(chosen, journeys.slice(0, THREADS), replay);
}

/** The timetable's stations, named after the journey that it shows. @param {Journey|undefined} journey @returns {Stations} */
function stations(journey) {
  const trace = journey?.trace;
  const service = journey?.service ?? 'a service';
  const moved = journey?.moved ?? false;
  const node = (moved ? undefined : trace?.node) ?? journey?.node ?? connection.nodeName;
  const place = (/** @type {{partition: number, offset: number}|undefined} */ at) => (at ? `partition ${at.partition} @ ${at.offset}` : 'Kafka');
  const topic = trace?.requestRecord?.topic ?? facts.services.find(({ name }) => name === service)?.topic ?? 'request topic';
  /** @type {Stations} */
  const all = new Map([
    ['client', { name: 'you', detail: journey?.door === 'http' ? 'HTTP, parked' : 'this browser' }],
    ['node', { name: `node ${node}`, detail: moved ? 'had your session' : trace?.path === 'home' ? 'got its own reply' : 'has your session' }],
    ['request', { name: topic, detail: place(trace?.requestRecord) }],
    ['service', { name: service, detail: 'knows only Kafka' }],
    ['reply', { name: trace?.replyRecord?.topic ?? 'parley.replies', detail: place(trace?.replyRecord) }],
  ]);
  const relayed = trace?.path === 'relay';
  const other = relayed ? trace?.consumedBy : connection.others[0];
  if (moved) return withNext(all, journey?.nodeNow ?? '', relayed ? trace?.consumedBy : undefined);
  if (other) all.set('other', { name: `node ${other}`, detail: relayed ? 'consumed, relayed' : 'not needed', idle: !relayed });
  return all;
}

/** @typedef {Map<import('./journey.js').Station, import('./timetable.js').Label>} Stations */

/** The stations of a journey whose session moved: the node where it went is below the one where it was. @param {Stations} all @param {string} next @param {string|undefined} other @returns {Stations} */
function withNext(all, next, other) {
  const [client, node, ...rest] = all;
  /** @type {Stations} */
  const more = new Map([client, node, ['next', { name: `node ${next}`, detail: 'has your session' }], ...rest]);
  if (other && other !== next) more.set('other', { name: `node ${other}`, detail: 'consumed, relayed' });
  return more;
}

function showTerminal() {
  try {
    byID('terminal').textContent = asCurl(connection.url, composer.question());
  } catch {
    byID('terminal').textContent = ''; // the form says what is wrong when it is sent
  }
}
