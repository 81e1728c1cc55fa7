// What a client may be told when it connects.

/**
 * @typedef {object} ConnectOptions
 * @property {string|(() => string|Promise<string>)} [token] a JWT, or what fetches one for each socket. Where the
 *   gateway refuses it (4401: it has expired) it is fetched once more, and the session goes on; where it refuses that
 *   too, or there is nothing to fetch, the client ends, and what is open rejects as `unauthorized`
 * @property {typeof WebSocket} [WebSocket] where there is no global one
 * @property {import('./memory.js').Store} [storage] sessionStorage, or what is like it: the session then outlives a
 *   reload of the page. It holds the session's secret, for scripts of this origin to read. Of tabs with the same
 *   session (one was duplicated) the first keeps it, the others begin their own
 * @property {string} [storageKey] `parley`, where a page has one client
 */

export {};
