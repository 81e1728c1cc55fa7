// Package tabletest is the contract of [routing.Table], as tests that every
// table passes: memory, Redis in this process, and real servers.
package tabletest
