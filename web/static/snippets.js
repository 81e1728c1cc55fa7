// The same call by each program, to be pasted as it is. A token that the page was shown is
// nobody else's to see: a shell has it in $token, and a browser's console asks for it.

/** A text as one word of a shell. @param {string} text */
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** @param {Location} at */
const socket = (at) => `${at.protocol === 'https:' ? 'wss' : 'ws'}://${at.host}/ws`;

/** @param {boolean} shown */
const bearer = (shown) => (shown ? ` \\\n  -H "authorization: Bearer $token"` : '');

/** @typedef {(at: Location, path: string, name: string, payload: any, token: boolean) => string} Snippet */

/** @type {Snippet} */
function curl(at, path, _, payload, token) {
  if (path.includes('{key}')) return `curl -s ${quoted(at.origin + path.replace('{key}', payload))}${bearer(token)}`;
  return `curl -s ${quoted(at.origin + path)}${bearer(token)} \\\n  -H 'content-type: application/json' \\\n  -d ${quoted(JSON.stringify(payload))}`;
}

/** @type {Snippet} */
const wscat = (at, _, name, payload, token) => `npx wscat -c ${socket(at)} -w 5${bearer(token)} \\\n  -x ${quoted(JSON.stringify({ jsonrpc: '2.0', id: 1, method: name, params: payload }))}`;

/** @type {Snippet} */
const js = (at, _, name, payload, token) => `const { connect } = await import('${at.origin}/client/parley.js');\n\nconst client = connect('${socket(at)}'${token ? ", { token: prompt('token') }" : ''});\nconsole.log(await client.request(${JSON.stringify(name)}, ${JSON.stringify(payload, null, 2)}));\nclient.close();`;

/** A program by its name in the page's switch. @type {{door: string, text: Snippet}[]} */
export const CALLS = [{ door: 'curl', text: curl }, { door: 'wscat', text: wscat }, { door: 'js', text: js }];
