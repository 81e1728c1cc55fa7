// A real browser on the demo page: connects, clicks through it, and keeps a
// screenshot. Usage: node page.mjs <page address> <screenshot.png>
import assert from 'node:assert/strict'
import { chromium } from 'playwright-core'
