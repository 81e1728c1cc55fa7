// The same call by each program, to be pasted as it is. A token that the page was shown is
// nobody else's to see: a shell has it in $token, and a browser's console asks for it.

/** A text as one word of a shell. @param {string} text */
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** @param {Location} at */
const socket = (at) => `${at.protocol === 'https:' ? 'wss' : 'ws'}://${at.host}/ws`;

/** @param {boolean} shown */
const bearer = (shown) => (shown ? ` \\\n  -H "authorization: Bearer $token"` : '');

/** What is asked of a view that is to wait. @typedef {{until?: string}} Wait */
/** @typedef {(at: Location, path: string, name: string, payload: any, token: boolean, wait?: Wait) => string} Snippet */

/** The same on a socket. @param {string} key @param {Wait} wait */
const patient = (key, wait) => ({ key, ...wait, wait: 5000 });

/** @type {Snippet} */
function curl(at, path, _, payload, token, wait) {
  const until = wait?.until ? `?until=${wait.until}` : '';
  if (path.includes('{key}')) return `curl -s ${quoted(at.origin + path.replace('{key}', payload) + until)}${bearer(token)}${wait ? " \\\n  -H 'prefer: wait=5'" : ''}`;
  return `curl -s ${quoted(at.origin + path)}${bearer(token)} \\\n  -H 'content-type: application/json' \\\n  -d ${quoted(JSON.stringify(payload))}`;
}

/** @type {Snippet} */
function wscat(at, _, name, payload, token, wait) {
  const message = { jsonrpc: '2.0', id: 1, method: name, ...(wait ? { meta: patient(payload, wait) } : { params: payload }) };
  return `npx wscat -c ${socket(at)} -w ${wait ? 6 : 5}${bearer(token)} \\\n  -x ${quoted(JSON.stringify(message))}`;
}

/** @type {Snippet} */
function js(at, _, name, payload, token, wait) {
  const what = wait ? `undefined, ${JSON.stringify(patient(payload, wait))}` : JSON.stringify(payload, null, 2);
  return `const { connect } = await import('${at.origin}/client/parley.js');\n\nconst client = connect('${socket(at)}'${token ? ", { token: prompt('token') }" : ''});\nconsole.log(await client.request(${JSON.stringify(name)}, ${what}));\nclient.close();`;
}

/** A program by its name in the page's switch. @type {{door: string, text: Snippet}[]} */
export const CALLS = [{ door: 'curl', text: curl }, { door: 'wscat', text: wscat }, { door: 'js', text: js }];
