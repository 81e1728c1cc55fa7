// The form: which service, what it is asked, and with which options.

import { byID, h } from './dom.js';

/** @typedef {import('./callers.js').Question} Question */

/** What each demo service's form stands for. @type {Object<string, (data: FormData) => {params: unknown, key?: string}>} */
const readers = {
  orders: (data) => ({
    params: {
      customer: data.get('customer'),
      items: ['tea', 'coffee', 'cocoa', 'sugar', 'mug'].map((sku) => ({ sku, quantity: Number(data.get(sku)) })).filter((item) => item.quantity),
    },
  }),
  basket: (data) => {
    const [basket, sku] = [String(data.get('basket')), data.get('sku')];
    const action = data.get('action');
    return {
      params: {
        basket,
        ...(action === 'add' && { add: { sku, quantity: Number(data.get('quantity')) } }),
        ...(action === 'remove' && { remove: { sku } }),
      },
      key: basket,
    };
  },
  customer: (data) => ({ params: { customer: data.get('customer') } }),
  checkout: (data) => ({
    params: {
      order: data.get('order') || `o-${Math.random().toString(36).slice(2, 8)}`,
      customer: data.get('customer'),
      items: [{ sku: 'tea', quantity: Number(data.get('tea')) }],
    },
  }),
  echo: (data) => ({ params: textOrJSON(String(data.get('text'))) }),
};

export class Composer {
  #form = byID('form');
  #service = '';
  /** @type {string[]} */ #serviceNames;

  /**
   * @param {{name: string}[]} services
   * @param {{send: (question: Question, door: 'ws'|'http') => void, burst: (question: Question, door: 'ws'|'http', count: number) => void, changed: () => void}} on
   */
  constructor(services, on) {
    const names = services.map((service) => service.name);
    const tabs = [...Object.keys(readers).filter((name) => names.includes(name)), ...names.filter((name) => !(name in readers)), 'raw'];
    byID('services').append(...tabs.map((name, i) => this.#tab(name, i === 0)));
    this.#serviceNames = names;
    this.choose(tabs[0]);

    this.#form.addEventListener('submit', (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#use((question) => on.send(question, this.door));
    });
    byID('burst').addEventListener('click', () => {
      if (!this.#form.reportValidity()) return;
      this.#use((question) => on.burst(question, this.door, Number(this.#form.elements.count.value)));
    });
    for (const type of ['input', 'change']) this.#form.addEventListener(type, () => on.changed()); // a tab changes after its input
  }

  /** @returns {'ws'|'http'} */
  get door() {
    return new FormData(this.#form).get('door') === 'http' ? 'http' : 'ws';
  }

  /** What the form asks now; an error's message is for people. @returns {Question} */
  question() {
    const data = new FormData(this.#form);
    const asked = this.#template() === 'raw' ? readRaw(data) : this.#readForm(data);
    const headers = { ...asked.meta.headers, ...options(data) };
    const timeout = Number(data.get('timeout')) || asked.meta.timeout;
    return { ...asked, meta: { ...asked.meta, timeout, headers: Object.keys(headers).length ? headers : undefined } };
  }

  /** @param {FormData} data @returns {Question} */
  #readForm(data) {
    const { params, key } = readers[this.#service](data);
    return { service: this.#service, params, meta: key === undefined ? {} : { key } };
  }

  /** Shows a service's form. @param {string} name */
  choose(name) {
    this.#service = name;
    const template = this.#template();
    byID('fields').replaceChildren(byID(`form-${template}`).content.cloneNode(true));
    if (template !== 'raw') return;
    byID('service-names').replaceChildren(...this.#serviceNames.map((value) => h('option', { value })));
    if (name !== 'raw') this.#form.elements.namedItem('service').value = name;
  }

  #template() {
    return this.#service in readers ? this.#service : 'raw';
  }

  /** @param {string} name @param {boolean} checked */
  #tab(name, checked) {
    const input = h('input', { type: 'radio', name: 'tab', value: name, checked, onchange: () => this.choose(name) });
    return h('label', {}, input, h('span', {}, name));
  }

  /** @param {(question: Question) => void} use */
  #use(use) {
    byID('form-error').textContent = '';
    try {
      use(this.question());
    } catch (error) {
      byID('form-error').textContent = /** @type {Error} */ (error).message;
    }
  }
}

/** The record headers that the demo services obey. @param {FormData} data @returns {Object<string, string>} */
function options(data) {
  return {
    ...(data.get('delay') && { 'x-demo-delay': String(data.get('delay')) }),
    ...(data.get('parts') && { 'x-demo-parts': String(data.get('parts')) }),
    ...(data.get('anywhere') && { 'x-demo-anywhere': '1' }),
    ...(data.get('fail') && { 'x-demo-fail': 'the demo was asked to fail' }),
  };
}

/** @param {FormData} data @returns {Question} */
function readRaw(data) {
  const params = String(data.get('params')).trim();
  const meta = String(data.get('meta')).trim();
  return {
    service: String(data.get('service')).trim(),
    params: params ? strictJSON('params', params) : undefined,
    meta: meta ? strictJSON('meta', meta) : {},
  };
}

/** @param {string} what @param {string} text */
function strictJSON(what, text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${what} is not JSON: ${/** @type {Error} */ (error).message}`);
  }
}

/** @param {string} text */
function textOrJSON(text) {
  try {
    return JSON.parse(text);
  } catch {
    return new TextEncoder().encode(text);
  }
}
