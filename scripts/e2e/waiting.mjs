// Waits with the bundled JavaScript client for an order that is not there yet, though its node goes.
// Usage: node waiting.mjs <parley.js> <order> <socket address>...
import assert from 'node:assert/strict'
import { pathToFileURL } from 'node:url'
import { WebSocket } from 'ws'

const [client, order, ...addresses] = process.argv.slice(2)
const { connect } = await import(pathToFileURL(client))
const parley = connect(addresses, { WebSocket })
const event = await parley.request('status', undefined, { key: order, until: 'decided', wait: 45_000 })
assert.equal(event.state, 'VALIDATED')
assert.equal(event.order, order)
parley.close()
console.log(`waiting: ok, at node ${parley.node}`)
