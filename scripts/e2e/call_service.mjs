// An unmodified JSON-RPC client for Node calls services through the plain door.
import assert from 'node:assert/strict'
import { Client } from 'rpc-websockets'

const client = new Client(process.argv[2], { reconnect: false })
await new Promise((resolve, reject) => { client.once('open', resolve); client.once('error', reject) })

assert.deepEqual(await client.call('customer', { customer: 'c-3' }), { customer: 'c-3', name: 'Two Rivers Canteen', city: 'Lyon', since: '2018-01-30' })
const answers = await Promise.all([...Array(50).keys()].map(n => client.call('echo', { n, text: 'häl\u2028lo 🙂' })))
answers.forEach((answer, n) => assert.deepEqual(answer, { n, text: 'häl\u2028lo 🙂' }))
assert.deepEqual(await client.call('echo', [1, [2]]), [1, [2]])
await assert.rejects(client.call('nosuch', {}), error => error.code === -32601 && error.data.code === 'unknown_service')
await assert.rejects(client.call('customer', { customer: 'c-99' }), error => error.code === -32010)
client.close()
console.log('rpc-websockets: ok')
