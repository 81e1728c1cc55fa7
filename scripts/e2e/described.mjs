// The documents that describe a gateway, held against what their makers validate with.
// Usage: node described.mjs <gateway address> [<token>]
import assert from 'node:assert/strict'
import { Parser } from '@asyncapi/parser'
import { validateOpenRPCDocument } from '@open-rpc/schema-utils-js'
import { validate } from '@readme/openapi-parser'
import WebSocket from 'ws'

const [address, token] = process.argv.slice(2)
const headers = token ? { authorization: `Bearer ${token}` } : {}
const get = async path => (await fetch(address + path, { headers })).json()

const openapi = await validate(await get('/openapi.json'))
assert.ok(openapi.valid, JSON.stringify(openapi.errors, null, 1))

const { document, diagnostics } = await new Parser().parse(await get('/asyncapi.json'))
const errors = diagnostics.filter(d => d.severity === 0)
assert.deepEqual(errors, [])
assert.equal(document.version(), '3.0.0')
assert.equal(document.securitySchemes().get('bearer')?.scheme(), token ? 'bearer' : undefined)

const socket = new WebSocket(address.replace('http', 'ws') + '/ws', { headers })
await new Promise((done, fail) => { socket.onopen = done; socket.onerror = fail })
socket.send('{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}')
const { result } = JSON.parse(await new Promise(done => { socket.onmessage = m => done(m.data) }))
socket.close()
assert.equal(validateOpenRPCDocument(result), true)
assert.ok(result.methods.length > 0)

console.log('described: ok')
