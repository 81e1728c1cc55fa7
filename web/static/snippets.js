// The same call by each program, to be pasted as it is.

/** A text as one word of a shell. @param {string} text */
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** @param {Location} at */
const socket = (at) => `${at.protocol === 'https:' ? 'wss' : 'ws'}://${at.host}/ws`;

/** @typedef {(at: Location, path: string, name: string, payload: any) => string} Snippet */

/** One line each: a program by its name in the page's switch. @type {{door: string, text: Snippet}[]} */
export const CALLS = [
  { door: 'curl', text: (at, path, _, payload) => path.includes('{key}') ? `curl -s ${quoted(at.origin + path.replace('{key}', payload))}` : `curl -s ${quoted(at.origin + path)} \\\n  -H 'content-type: application/json' \\\n  -d ${quoted(JSON.stringify(payload))}` },
  { door: 'wscat', text: (at, _, name, payload) => `npx wscat -c ${socket(at)} -w 5 \\\n  -x ${quoted(JSON.stringify({ jsonrpc: '2.0', id: 1, method: name, params: payload }))}` },
  { door: 'js', text: (at, _, name, payload) => `const { connect } = await import('${at.origin}/client/parley.js');\n\nconst client = connect('${socket(at)}');\nconsole.log(await client.request(${JSON.stringify(name)}, ${JSON.stringify(payload, null, 2)}));\nclient.close();` },
];
