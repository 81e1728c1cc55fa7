package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"parley/routing"
)

// keyFile writes a public key for ES256 into a file and answers both.
func keyFile(t *testing.T) (path string, key *ecdsa.PrivateKey) {
	t.Helper()
	key = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(&key.PublicKey))})
	path = filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, key
}

// Authentication that is half configured, or names keys and rules that cannot be used, is
// told as a whole.
func TestAuthMistakes(t *testing.T) {
	key, _ := keyFile(t)
	for _, c := range []struct{ name, text, want string }{
		{"rules without keys", `
auth: {jwt: {issuer: x}}
services: {orders: {allow: subject == "ann"}}`, `p.yaml:3: services.orders.allow: "subject == \"ann\"" is not allowed without auth.jwt: nobody is asked who it is
auth.jwt.keys: is missing: want files of keys, or URLs in auth.jwt.jwks`},
		{"everything wrong", `
auth:
  jwt: {algorithms: [none, HS256], keys: [` + key + `, missing.pem], jwks: ["http://issuer.example/jwks", "https://u:hunter2@issuer.example/"], subject_claim: "", leeway: 1h}
  cookie: "a b"
origins: ["*"]
subscriptions: {topics: [t.events], allow: {t.events: claims., other: "true"}}
services: {orders: {allow: claims.role}, basket: {allow: "\"x\" in claims.roles && subjec != \"\""}, stock: {allow: "1 + 1"}}`, `p.yaml:7: services.basket.allow: "\"x\" in claims.roles && subjec != \"\"" is not a rule: at 1:24: undeclared reference to 'subjec' (in container '')
p.yaml:7: services.stock.allow: "1 + 1" is not a rule: it answers int, not bool
p.yaml:6: subscriptions.allow: "other" is not allowed: want one of subscriptions.topics
p.yaml:6: subscriptions.allow: "claims." is not a rule: at 1:8: Syntax error: no viable alternative at input '.'
p.yaml:3: auth.jwt.algorithms: "none" is not allowed: want RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, HS256, HS384 or HS512
p.yaml:3: auth.jwt.keys: "` + key + `" cannot be used: it has no key for none, HS256 (a secret must be as long as its hash)
p.yaml:3: auth.jwt.keys: "missing.pem" cannot be used: open missing.pem: no such file or directory
p.yaml:3: auth.jwt.jwks: "http://issuer.example/jwks" is not where keys may come from: want an https URL, or an http one of this machine
p.yaml:3: auth.jwt.jwks: "https://u:***@issuer.example/" is not where keys may come from: want an https URL, or an http one of this machine
p.yaml:3: auth.jwt.subject_claim: is missing: want the name of a claim
p.yaml:3: auth.jwt.leeway: "1h" is not allowed: want 0s to 10m
p.yaml:4: auth.cookie: "a b" is not a cookie's name
p.yaml:5: origins: "*" is not allowed: want a list of origins beside auth.cookie: any page could call in the name of its reader`},
		{"no list", "subscriptions: {topics: [a], allow: [b]}", `p.yaml:1: subscriptions.allow: is a list: want expressions by topic, such as {orders.events: subject == "ann"}`},
		{"all right", `
auth: {jwt: {algorithms: [ES256], keys: [` + key + `], jwks: ["https://issuer.example/jwks", "http://127.0.0.1:1/jwks"]}, required: false, cookie: session}
origins: [https://shop.example]
subscriptions: {topics: [t.events], allow: {t.events: "true"}}
services: {orders: {allow: "'clerk' in claims.roles"}}`, "<nil>"},
	} {
		_, err := load(t, c.text, nil, nil)
		got := "<nil>"
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: got:\n%s\nwant:\n%s", c.name, got, c.want)
		}
	}
}

// A rule sees the caller's claims and subject; what it cannot answer is no.
func TestRules(t *testing.T) {
	clerk := &routing.Caller{Subject: "ann", Claims: []byte(`{"roles":["clerk"],"age":30,"org":{"id":7}}`)}
	for text, want := range map[string][2]bool{ // of the clerk, and of nobody in particular
		`"clerk" in claims.roles`:                    {true, false},
		`claims.age >= 18 && claims.org.id == 7`:     {true, false},
		`claims.role == "clerk" || subject == "ann"`: {true, false},
		`claims.role == "clerk"`:                     {false, false},
		`claims.age`:                                 {false, false},
		`claims.age == "30"`:                         {false, false},
		`subject == ""`:                              {false, true},
		`true`:                                       {true, true},
		`!has(claims.banned)`:                        {true, true},
	} {
		rule, err := compileRule(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := [2]bool{rule.Allows(clerk), rule.Allows(nil)}; got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}
