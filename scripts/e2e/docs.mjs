// A person opens /docs in a real browser, and pastes every example that it shows.
// Usage: node docs.mjs <gateway address> <folder for screenshots>
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const [address, folder] = process.argv.slice(2)
const wscat = `node ${join(dirname(fileURLToPath(import.meta.url)), 'node_modules/wscat/bin/wscat')}`
const sh = text => execFileSync('script', ['-qec', text, '/dev/null'], { encoding: 'utf8', timeout: 30_000 }) // wscat wants a terminal

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
  const complaints = []
  page.on('console', message => { if (message.type() === 'error') complaints.push(message.text()) })
  page.on('pageerror', error => complaints.push(String(error)))
  await page.goto(`${address}/docs`)
  await page.waitForSelector('article')
  const examples = door => page.evaluate(door => [...document.querySelectorAll(`.call[data-door=${door}] pre`)].map(e => e.textContent), door)

  for (const text of await examples('curl')) assert.match(sh(text), /^("hi"|\{"(items|basket|customer|order))/, text)
  for (const text of await examples('wscat')) assert.match(sh(text.replace('npx wscat', wscat).replace(/-w \d/, '-w 1')), /"id":1,"result":/, text)
  for (const text of await examples('js')) { // a console is not bound by the page's policy, and no script of the page's may be made of text
    const session = await page.context().newCDPSession(page)
    const ended = await session.send('Runtime.evaluate', { expression: text, replMode: true, awaitPromise: true, allowUnsafeEvalBlockedByCSP: true })
    assert.equal(ended.exceptionDetails, undefined, text)
  }

  // A view tells of its conditions, and how to wait for them.
  const view = await page.locator('#service-state').innerText()
  assert.match(view, /done\s+event\.order != "<b>"/)
  assert.equal((await examples('curl')).filter(text => text.includes('?until=done') && text.includes('prefer: wait=5')).length, 1)

  // What a description says is text, never markup; the keyboard reaches the index and the switch.
  assert.equal(await page.locator('main img').count(), 0)
  assert.doesNotMatch(await page.title(), /injected/)
  await page.locator('#index a', { hasText: 'orders' }).focus()
  await page.keyboard.press('Enter')
  await page.waitForFunction(() => location.hash === '#service-orders')
  await page.locator('#door input[value=curl]').focus()
  await page.keyboard.press('ArrowRight')
  assert.ok(await page.locator('.call[data-door=wscat]').first().isVisible())
  assert.ok(!await page.locator('.call[data-door=curl]').first().isVisible())
  await page.screenshot({ path: join(folder, 'docs.png'), fullPage: true })

  for (const width of [320, 390, 2200]) {
    await page.setViewportSize({ width, height: 844 })
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `the page is wider than ${width}`)
    if (width === 390) await page.screenshot({ path: join(folder, 'docs-phone.png'), fullPage: true })
  }
  assert.deepEqual(complaints, [])
} finally {
  await browser.close()
}
console.log('docs: ok')
