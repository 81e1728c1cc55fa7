// A page asks `parley dev` in every way that there is, with the bundled client and with
// what a browser has itself; then a person follows a checkout and an answer in parts.
// Usage: node ways.mjs <page address> <folder for screenshots>
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const [address, folder] = process.argv.slice(2)
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
  const complaints = []
  // 499 is the answer to what is cancelled below.
  page.on('console', message => { if (message.type() === 'error' && !/status of 499/.test(message.text())) complaints.push(message.text()) })
  page.on('pageerror', error => complaints.push(String(error)))
  await page.goto(address)
  await page.waitForSelector('#state[data-state=open]')
  await page.evaluate(async () => {
    const { connect } = await import('/client/parley.js')
    const socket = location.origin.replace('http', 'ws') + '/ws'
    Object.assign(window, { one: connect(socket), other: connect(socket), tea: { customer: 'c-1', items: [{ sku: 'tea', quantity: 2 }] } })
  })
  await streams(page)
  await keeps(page)
  await cancels(page)
  await followsEvents(page)
  await isRefused(page)
  assert.deepEqual(complaints, [])
  await isClicked(page)
} finally {
  await browser.close()
}
console.log('ways: ok')

/** Answers in parts: by credit on a socket, as events where the request is kept. */
async function streams(page) {
  const parts = await page.evaluate(async () => {
    const got = []
    for await (const part of window.one.stream('echo', 'done', { window: 2, headers: { 'x-demo-parts': '20' } })) got.push(part.part ?? part)
    return got
  })
  assert.deepEqual(parts, [...Array.from({ length: 20 }, (_, i) => i + 1), 'done'])

  const told = await page.evaluate(async () => {
    const kept = await fetch('/services/echo', { method: 'POST', body: '"done"',
      headers: { prefer: 'respond-async', 'content-type': 'application/json', 'x-demo-parts': '3', 'x-demo-delay': '100ms' } })
    const source = new EventSource(kept.headers.get('location'))
    const got = []
    await new Promise((resolve, reject) => {
      source.addEventListener('part', ({ data }) => got.push(JSON.parse(data).part))
      source.addEventListener('result', ({ data }) => { got.push(JSON.parse(data)); resolve() })
      setTimeout(() => reject(new Error('no result')), 20_000)
    })
    source.close()
    return got
  })
  assert.deepEqual(told, [1, 2, 3, 'done'])
}

/** A request that is kept is collected by the page, by a socket, and made once a key. */
async function keeps(page) {
  const { accepted, pending, fetched, attached } = await page.evaluate(async () => {
    const made = await fetch('/services/orders', { method: 'POST', body: JSON.stringify(window.tea),
      headers: { prefer: 'respond-async', 'content-type': 'application/json', 'x-demo-delay': '1s' } })
    const where = made.headers.get('location')
    const pending = (await fetch(where)).status
    const attached = window.other.attach(where.replace('/requests/', ''))
    return { accepted: made.status, pending, fetched: await (await fetch(`${where}?wait=20s`)).json(), attached: await attached }
  })
  assert.equal(accepted, 202)
  assert.equal(pending, 202)
  assert.equal(fetched.state, 'ACCEPTED')
  assert.deepEqual(attached, fetched)

  const orders = await page.evaluate(() => Promise.all([window.one, window.other, window.one].map(async (client, i) =>
    (await client.request('orders', window.tea, { idempotencyKey: `basket-${location.port}` })).order)))
  assert.equal(new Set(orders).size, 1, `one key, and orders ${orders}`)
}

/** A kept request is cancelled, and one of a socket. */
async function cancels(page) {
  const { cancelled, then, word } = await page.evaluate(async () => {
    const slow = { method: 'POST', body: '"late"', headers: { prefer: 'respond-async', 'content-type': 'application/json', 'x-demo-delay': '30s' } }
    const where = (await fetch('/services/echo', slow)).headers.get('location')
    const cancelled = (await fetch(where, { method: 'DELETE' })).status
    const stop = new AbortController()
    const asked = window.one.request('echo', 'late', { headers: { 'x-demo-delay': '30s' }, signal: stop.signal }).catch(error => error.code ?? error.name)
    setTimeout(() => stop.abort(), 200)
    return { cancelled, then: await (await fetch(where)).text(), word: await asked }
  })
  assert.equal(cancelled, 204)
  assert.match(then, /cancelled/)
  assert.match(word, /cancelled|AbortError/)
}

/** A checkout is answered by an event; a socket and an EventSource see all of them; a view has the last, and is waited for. */
async function followsEvents(page) {
  const { answered, pushed, streamed, waited, seen, again } = await page.evaluate(async () => {
    const last = state => state === 'VALIDATED' || state === 'FAILED'
    const order = `o-${location.port}`
    const events = window.other.subscribe('orders.events', order)
    await events.ready
    const source = new EventSource(`/events/orders.events?key=${order}`)
    await new Promise(resolve => source.addEventListener('open', resolve))
    const streamed = new Promise(resolve => {
      const got = []
      source.addEventListener('message', ({ data }) => { if (last(got[got.push(JSON.parse(data).state) - 1])) resolve(got) })
    })
    const decided = window.other.request('order-status', undefined, { key: order, until: 'decided', wait: 20_000 })
    const answered = await window.one.request('checkout', { ...window.tea, order })
    const pushed = []
    for await (const { data } of events) if (last(pushed[pushed.push(data.state) - 1])) break
    const waited = [(await decided).state]
    const same = window.other.request('order-status', undefined, { key: order, etag: decided.meta.headers.etag, wait: 200 })
    waited.push(await same, same.meta.unchanged)
    const view = () => fetch(`/services/order-status/${order}`, { headers: { prefer: 'wait=10' } })
    let seen = await view()
    while (!last((await seen.clone().json()).state)) seen = await view()
    const again = await fetch(`/services/order-status/${order}`, { headers: { 'if-none-match': seen.headers.get('etag') }, cache: 'no-store' })
    return { answered: answered.state, pushed, streamed: await streamed, waited, seen: (await seen.json()).state, again: again.status }
  })
  const all = ['CREATED', 'CHECKED', 'CHECKED', 'CHECKED', 'VALIDATED']
  assert.equal(answered, 'VALIDATED')
  assert.deepEqual(pushed, all)
  assert.deepEqual(streamed, all)
  assert.deepEqual(waited, ['VALIDATED', null, true])
  assert.equal(seen, 'VALIDATED')
  assert.equal(again, 304)
}

/** What is wrong with a payload is told with its place; a topic that is no one's business is forbidden. */
async function isRefused(page) {
  const { words, topic } = await page.evaluate(async () => ({
    words: await window.one.request('orders', { items: [{ sku: 'tea', quantity: 'two' }] }).catch(error => `${error.code} ${error.outcome} ${error.message}`),
    topic: await window.one.subscribe('parley.replies', 'k').ready.catch(error => error.code),
  }))
  assert.match(words, /^invalid_params not_sent .*\/items\/0\/quantity/)
  assert.equal(topic, 'forbidden')
}

/** The same by hand. */
async function isClicked(page) {
  const service = async name => page.locator('#services label', { hasText: new RegExp(`^\\s*${name}\\s*$`) }).click()
  const shows = async (selector, text) => page.locator(selector).filter({ hasText: text }).first().waitFor({ timeout: 20_000 })
  const send = async () => page.getByRole('button', { name: 'Send', exact: true }).click()
  await service('checkout'); await send()
  await shows('#answered', 'VALIDATED')
  await shows('#events', /CREATED[^]*credit: yes[^]*VALIDATED/)
  await page.screenshot({ path: join(folder, 'checkout.png'), fullPage: true })
  await service('echo')
  await page.locator('select[name=parts]').selectOption('3'); await send()
  await shows('#answered', /"part":1[^]*"part":3/)
}
