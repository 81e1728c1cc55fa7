// Package auth finds out who shows a token: a JWT, signed by a key of the
// configuration's.
//
//	door ──token──▶ Verifier.Authenticate ──▶ routing.Caller
//	                      │ key?
//	                      ▼
//	            source (file, JWKS URL) ◀── Verifier.Run reads them anew
//
// A token counts only if
//
//   - its algorithm is one of Options.Algorithms, and the key is one for it: what has
//     an RSA key is never verified as HMAC, and none is no algorithm;
//   - its key is in a configured file or behind a configured URL. What the token itself
//     says of keys (jwk, jku, x5u, x5c) is not looked at; kid only chooses among ours;
//   - it has exp, which has not passed, and nbf and iat, where it has them, have, give or
//     take Options.Leeway;
//   - iss and aud are as configured, where something is;
//   - it names its subject, in visible characters.
//
// # Keys that change
//
// Run reads every source anew from time to time: files every 10 s, URLs every 5 min. A
// token whose kid nobody knows has all sources read at once, at most every 10 s, and waits
// for that; so an issuer may sign with a new key as soon as it has published it. A source
// that cannot be read keeps the keys that it had. A URL that was never read yet makes
// tokens that it might verify unavailable, not unauthorized: they may be good.
//
// # What is remembered
//
// A token that was verified counts without another look for a minute, so that an HTTP
// client which shows the same with each request costs one verification a minute.
package auth
