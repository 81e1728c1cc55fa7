// A person asks a question on the demo page of `parley dev`, kills the node that
// took it, and sees the answer arrive all the same, once; then loses the socket,
// reloads the page and duplicates the tab with questions open; and follows events over HTTP.
// Usage: node resume.mjs <page address> <folder for screenshots>
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const [address, folder] = process.argv.slice(2)
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
  const page = watched(await context.newPage())
  await page.goto(address)
  await opened(page)
  await answersThoughItsNodeIsKilled(page)
  await answersThoughTheSocketIsDropped(page)
  await answersAcrossAReload(page)
  await duplicateHasItsOwnSession(context, page)
  await eventsGoOnWithoutAGap(page)
  await relaysAreSeen(page)
  assert.deepEqual(page.complaints, [])
} finally {
  await browser.close()
}
console.log('resume: ok')

/** Collects what goes wrong in a page. That a killed node cannot be reached is no complaint. */
function watched(page) {
  page.complaints = []
  page.received = []
  page.on('console', message => { if (message.type() === 'error' && !/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_INCOMPLETE_CHUNKED_ENCODING|WebSocket connection to/.test(message.text())) page.complaints.push(message.text()) })
  page.on('pageerror', error => page.complaints.push(String(error)))
  page.on('websocket', socket => socket.on('framereceived', ({ payload }) => page.received.push(JSON.parse(payload))))
  return page
}

function opened(page) { return page.waitForSelector('#state[data-state=open]') }
function node(page) { return page.locator('#node').textContent() }
function session(page) { return page.locator('#session').textContent() }
function shows(page, selector, text) { return page.locator(selector).filter({ hasText: text }).first().waitFor({ timeout: 30_000 }) }
function answers(page) { return page.received.filter(message => message.result?.asked !== undefined).map(message => message.result.asked) }

/** Asks the echo service, which takes its time. */
async function ask(page, asked, delay = '3s') {
  await page.locator('#services label', { hasText: 'echo' }).click()
  await page.locator('textarea[name=text]').fill(JSON.stringify({ asked }))
  await page.locator('select[name=delay]').selectOption(delay)
  await page.getByRole('button', { name: 'Send', exact: true }).click()
  await shows(page, '#verdict', 'Safe in Kafka')
}

async function answersThoughItsNodeIsKilled(page) {
  const [first, mine] = [await node(page), await session(page)]
  const other = first === 'a' ? 'b' : 'a'
  await ask(page, 'killed', '5s')
  await page.getByRole('button', { name: `Kill node ${first}` }).click()
  await shows(page, '#story', `later the session went on at node ${other}`)
  await page.screenshot({ path: join(folder, 'resume-waiting.png'), fullPage: true })
  await shows(page, '#answered', '"asked": "killed"')
  await shows(page, '#verdict', `answered by node ${other}`)
  await shows(page, '#timetable', `resumed on ${other}`)
  await page.waitForTimeout(1500)
  await page.screenshot({ path: join(folder, 'resume-answered.png'), fullPage: true })
  assert.equal(await session(page), mine, 'the session is another one')
  assert.equal(await node(page), other)
  assert.equal(answers(page).filter(asked => asked === 'killed').length, 1, 'answered more than once')

  await page.waitForSelector(`[data-node=${first}][data-unit=down]`)
  await page.getByRole('button', { name: `Start again node ${first}` }).click()
  await page.waitForSelector(`[data-node=${first}][data-unit=up]`, { timeout: 60_000 })
}

async function answersThoughTheSocketIsDropped(page) {
  const [first, mine] = [await node(page), await session(page)]
  await ask(page, 'dropped')
  await page.getByRole('button', { name: 'Drop socket' }).click()
  await shows(page, '#story', 'The socket was dropped')
  await shows(page, '#answered', '"asked": "dropped"')
  assert.deepEqual([await node(page), await session(page)], [first, mine], 'the node is well, and keeps its session')
}

async function answersAcrossAReload(page) {
  const mine = await session(page)
  await ask(page, 'reloaded')
  await page.goto(address.replace(/\/$/, '') + '/') // the node that was killed serves again
  await opened(page)
  assert.equal(await session(page), mine, 'the reload began another session')
  await shows(page, '#story', 'The page was reloaded')
  await shows(page, '#answered', '"asked": "reloaded"')
  await page.waitForTimeout(1500)
  await page.screenshot({ path: join(folder, 'resume-reloaded.png'), fullPage: true })
  assert.equal(answers(page).filter(asked => asked === 'reloaded').length, 1, 'answered more than once')
}

/** A duplicated tab begins with a copy of the original's sessionStorage. */
async function duplicateHasItsOwnSession(context, page) {
  const mine = await session(page)
  await ask(page, 'original')
  const copy = await page.evaluate(() => JSON.stringify({ ...sessionStorage }))
  const twin = watched(await context.newPage())
  await twin.addInitScript(copy => { for (const [key, value] of Object.entries(JSON.parse(copy))) sessionStorage.setItem(key, value) }, copy)
  await twin.goto(page.url())
  await opened(twin)
  assert.notEqual(await session(twin), mine, 'two tabs with one session')
  await shows(page, '#answered', '"asked": "original"')
  assert.equal(await session(page), mine)
  assert.deepEqual(answers(twin), [])
  await ask(twin, 'twin', '500ms')
  await shows(twin, '#answered', '"asked": "twin"')
  assert.deepEqual(twin.complaints, [])
  await twin.close()
}

/** The browser's own EventSource, of a key and of a whole topic, goes on where it was once the node is back that it lost. */
async function eventsGoOnWithoutAGap(page) {
  const { nodes } = await (await fetch(new URL('/page.json', address))).json()
  const isHere = ({ url }) => new URL(url).host === new URL(address).host
  const [here, other] = [nodes.find(isHere), nodes.find(node => !isHere(node))]
  const order = `o-${Date.now()}`
  const checkout = async ({ url }) => {
    const body = JSON.stringify({ order, customer: 'c-1', items: [{ sku: 'tea', quantity: 2 }] })
    const answer = await fetch(new URL('/services/checkout', url), { method: 'POST', body, headers: { 'content-type': 'application/json' } })
    assert.equal((await answer.json()).state, 'VALIDATED')
  }
  await page.evaluate(order => {
    window.followed = ['?key=' + order, ''].map(query => {
      const got = { states: [], ids: new Set(), missed: 0, opened: 0 }
      const source = new EventSource('/events/orders.events' + query)
      source.addEventListener('open', () => got.opened++)
      source.addEventListener('missed', () => got.missed++)
      source.addEventListener('message', event => {
        const data = query ? JSON.parse(event.data) : JSON.parse(event.data).data
        if (data.order === order) got.states.push(data.state)
        got.ids.add(event.lastEventId)
      })
      return got
    })
  }, order)
  const seen = events => page.waitForFunction(events => window.followed.every(({ states }) => states.length >= events), events, { timeout: 60_000 })
  await page.waitForFunction(() => window.followed.every(({ opened }) => opened === 1))
  await checkout(here)
  await seen(5)
  await page.getByRole('button', { name: `Kill node ${here.id}` }).click()
  await page.waitForSelector(`[data-node=${here.id}][data-unit=down]`)
  await checkout(other) // while nobody follows
  await page.getByRole('button', { name: `Start again node ${here.id}` }).click()
  await seen(10)
  await checkout(other)
  await seen(15)
  const once = ['CREATED', 'CHECKED', 'CHECKED', 'CHECKED', 'VALIDATED']
  for (const { states, ids, missed, opened } of await page.evaluate(() => window.followed.map(got => ({ ...got, ids: got.ids.size })))) {
    assert.deepEqual(states, [...once, ...once, ...once])
    assert.deepEqual([missed, opened], [0, 2])
    assert.ok(ids >= states.length)
  }
}

/** A service that does not keep the key answers anywhere: then there are relays. */
async function relaysAreSeen(page) {
  await page.locator('label', { hasText: 'Answer anywhere' }).click()
  await page.locator('select[name=delay]').selectOption('')
  await page.getByRole('button', { name: 'Burst' }).click()
  await page.locator('#past .path[data-path=relay]').first().waitFor({ timeout: 20_000 })
}
