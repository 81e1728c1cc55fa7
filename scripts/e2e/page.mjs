// A person opens the demo page in a real browser and clicks through it.
// Usage: node page.mjs <page address> <folder for screenshots>
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const [address, folder] = process.argv.slice(2)
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
try {
  await clickThrough(await browser.newPage({ viewport: { width: 1280, height: 900 } }))
} finally {
  await browser.close()
}
console.log('page: ok')

async function clickThrough(page) {
  const complaints = []
  page.on('console', message => { if (message.type() === 'error') complaints.push(message.text()) })
  page.on('pageerror', error => complaints.push(String(error)))
  const service = async name => page.locator('#services label', { hasText: new RegExp(`^\\s*${name}\\s*$`) }).click()
  const send = async () => page.getByRole('button', { name: 'Send', exact: true }).click()
  const shows = async (selector, text) => page.locator(selector).filter({ hasText: text }).first().waitFor({ timeout: 20_000 })

  await page.goto(address)
  await page.waitForSelector('#state[data-state=open]')

  // Each demo service answers its form.
  await service('orders'); await send(); await shows('#answered', 'ACCEPTED')
  await service('basket'); await send(); await shows('#answered', '"basket": "b-1"')
  await service('customer'); await send(); await shows('#answered', 'Two Rivers Canteen')

  // What a service sends is text, never markup.
  await service('echo')
  await page.locator('textarea[name=text]').fill('{"markup":"<img src=x onerror=document.title=\'injected\'>"}')
  await send(); await shows('#answered', 'onerror')
  assert.equal(await page.locator('#answered img').count(), 0)
  assert.doesNotMatch(await page.title(), /injected/)

  // The same over HTTP, an error of the service's, and a burst.
  await page.locator('input[name=door][value=http] + span').click()
  await send(); await shows('#answered', 'onerror')
  await page.locator('input[name=door][value=ws] + span').click()
  await page.locator('label', { hasText: 'Make it fail' }).click()
  await send(); await shows('#verdict', 'service_error')
  await page.locator('label', { hasText: 'Make it fail' }).click()
  await page.getByRole('button', { name: 'Burst' }).click()
  await page.waitForFunction(() => document.querySelectorAll('#past > li').length >= 50)
  await page.screenshot({ path: join(folder, 'page.png'), fullPage: true })

  // The session ends with the visit, and so does the connection.
  await page.getByRole('button', { name: 'Disconnect' }).click()
  await page.waitForSelector('#state[data-state=closed]')
  await page.setViewportSize({ width: 390, height: 844 })
  // Charts follow their frame a moment later.
  await page.waitForFunction(() => document.documentElement.scrollWidth <= innerWidth, null, { timeout: 10_000 }).catch(async error => {
    const wide = await page.evaluate(() => [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)
      .map(e => `${e.tagName} #${e.id} .${e.className} ${e.textContent.slice(0, 40)}`))
    throw new Error(`the page is wider than a phone: ${wide.slice(0, 5).join('; ')}`, { cause: error })
  })
  await page.screenshot({ path: join(folder, 'page-phone.png') })
  assert.deepEqual(complaints, [])
}
