// A person opens the pages of a gateway that wants to know who asks: in a real browser, first
// without a token, then with one.
// Usage: node token.mjs <gateway address> <token>
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const [address, token] = process.argv.slice(2)
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
  const complaints = []
  // 401 is the answer to who shows nothing.
  page.on('console', message => { if (message.type() === 'error' && !/status of 401/.test(message.text())) complaints.push(message.text()) })
  page.on('pageerror', error => complaints.push(String(error)))
  const shows = (selector, hasText) => page.locator(selector, { hasText }).first().waitFor()
  const enter = async text => {
    await page.locator('#token').fill(text)
    await page.locator('#token').press('Enter')
  }

  await page.goto(`${address}/docs`)
  await shows('#state', 'takes a token')
  await enter('nonsense')
  await shows('#state', 'is not good')
  await enter(`Bearer ${token}`)
  await shows('article h2', 'once')
  await examples(page, token)

  await page.goto(address)
  await shows('#state', 'open') // the tab has its token still
  await page.locator('#services label', { hasText: 'once' }).click()
  for (const [n, door] of ['ws', 'http'].entries()) {
    await page.locator(`input[name=door][value=${door}]`).check({ force: true })
    await page.getByRole('button', { name: 'Send', exact: true }).click()
    await shows('#journey-name', `#${n + 1} once`)
    await shows('#verdict .ok', 'answered')
  }
  assert.ok(!(await page.locator('#terminal').textContent()).includes(token), 'the command shows the token')

  await enter('')
  await shows('#state', 'not connected')
  assert.equal(await page.locator('#services label', { hasText: 'once' }).count(), 0)
  assert.deepEqual(complaints, [])
} finally {
  await browser.close()
}
console.log('token: ok')

/** Every example shows that there is a token, and none what it is; pasted with it, they are answered. */
async function examples(page, token) {
  const texts = door => page.evaluate(door => [...document.querySelectorAll(`.call[data-door=${door}] pre`)].map(e => e.textContent), door)
  const wscat = `node ${join(dirname(fileURLToPath(import.meta.url)), 'node_modules/wscat/bin/wscat')}`
  const sh = text => execFileSync('script', ['-qec', text, '/dev/null'], { encoding: 'utf8', timeout: 30_000, env: { ...process.env, token } }) // wscat wants a terminal
  for (const text of [...await texts('curl'), ...await texts('wscat')]) {
    assert.ok(!text.includes(token), 'an example shows the token')
    const said = sh(text.replace('npx wscat', wscat).replace('-w 5', '-w 1'))
    assert.doesNotMatch(said, /unauthorized|"error"/, text)
  }
  page.on('dialog', dialog => dialog.accept(token))
  const session = await page.context().newCDPSession(page)
  for (const text of await texts('js')) {
    const ended = await session.send('Runtime.evaluate', { expression: text, replMode: true, awaitPromise: true, allowUnsafeEvalBlockedByCSP: true })
    assert.equal(ended.exceptionDetails, undefined, text)
  }
  await session.detach()
}
