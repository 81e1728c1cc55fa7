package main

import (
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"parley/web/auth"
)

// AuthConfig says who callers are. Without keys nobody is asked.
type AuthConfig struct {
	JWT      JWTConfig `key:"jwt"`
	Required bool      `key:"required" help:"callers must show a token; false: others may do what an allow lets them"`
	Cookie   string    `key:"cookie" help:"name of the cookie that may hold the token, for pages of origins; empty: none"`
}

// JWTConfig says which tokens to believe.
type JWTConfig struct {
	Algorithms   []string `key:"algorithms" help:"algorithms that tokens may be signed by, such as RS256, ES256 or EdDSA"`
	Keys         []string `key:"keys" help:"files of keys: PEM, JWK or a set of JWKs"`
	JWKS         []string `key:"jwks" help:"https URLs of sets of JWKs"`
	Issuer       string   `key:"issuer" help:"what iss must be; empty: anything"`
	Audience     string   `key:"audience" help:"what aud must be, or have; empty: anything"`
	SubjectClaim string   `key:"subject_claim" help:"the claim that names the caller"`
	Leeway       Duration `key:"leeway" help:"by how much the issuer's clock may differ"`
}

// on tells whether callers are asked who they are.
func (a AuthConfig) on() bool { return len(a.JWT.Keys)+len(a.JWT.JWKS) > 0 }

// Rules are expressions by name, written as a JSON object.
type Rules string

// isRules answers whether the setting holds rules.
func (s setting) isRules() bool { return s.typ == reflect.TypeFor[Rules]() }

// byName answers the expressions.
func (r Rules) byName() (all map[string]string, err error) {
	if r == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(r), &all); err != nil {
		return nil, errors.New("is not expressions by topic: want such as {orders.events: subject == \"ann\"}")
	}
	return all, nil
}

func (k *checker) auth() {
	a := k.config.Auth
	if !a.on() {
		if len(a.JWT.Algorithms) > 0 || a.JWT.Issuer != "" || a.JWT.Audience != "" || a.Cookie != "" {
			k.missing("auth.jwt.keys", "want files of keys, or URLs in auth.jwt.jwks")
		}
		return
	}
	if len(a.JWT.Algorithms) == 0 {
		k.missing("auth.jwt.algorithms", "want one or more of %s", either(auth.Algorithms()))
	}
	for _, name := range a.JWT.Algorithms {
		k.oneOf("auth.jwt.algorithms", name, auth.Algorithms()...)
	}
	for _, file := range a.JWT.Keys {
		if err := auth.CheckFile(file, a.JWT.Algorithms); err != nil {
			k.bad("auth.jwt.keys", file, "cannot be used: %v", err)
		}
	}
	for _, url := range a.JWT.JWKS {
		k.keySet("auth.jwt.jwks", url)
	}
	if a.JWT.SubjectClaim == "" {
		k.missing("auth.jwt.subject_claim", "want the name of a claim")
	}
	between(k, "auth.jwt.leeway", a.JWT.Leeway, 0, minutes(10))
	if strings.ContainsFunc(a.Cookie, func(r rune) bool {
		return !strings.ContainsRune(headerRunes, r|0x20) && !strings.ContainsRune(headerRunes, r)
	}) {
		k.bad("auth.cookie", a.Cookie, "is not a cookie's name")
	}
	if a.Cookie != "" && slices.Contains(k.config.Origins, "*") {
		k.beside("origins", "auth.cookie", "*", "a list of origins beside auth.cookie: any page could call in the name of its reader")
	}
}

// keySet wants where keys may be fetched: over a connection that only the issuer can
// answer.
func (k *checker) keySet(key, value string) {
	u, err := url.Parse(value)
	switch {
	case err != nil, u.Hostname() == "", u.User != nil, u.Fragment != "", u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())):
		k.bad(key, SecretURL(value), "is not where keys may come from: want an https URL, or an http one of this machine")
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// allow wants an expression that can be asked of callers, or none.
func (k *checker) allow(key, text string) {
	if text == "" {
		return
	}
	if _, err := compileRule(text); err != nil {
		k.bad(key, text, "is not a rule: %v", err)
	} else if !k.config.Auth.on() {
		k.bad(key, text, "is not allowed without auth.jwt: nobody is asked who it is")
	}
}

// allowFeeds wants rules for topics that there are.
func (k *checker) allowFeeds(s SubscriptionsConfig) {
	rules, err := s.Allow.byName()
	if err != nil {
		k.bad("subscriptions.allow", s.Allow, "%v", err)
	}
	for _, topic := range sortedKeys(rules) {
		if !slices.Contains(s.Topics, topic) {
			k.beside("subscriptions.allow", "subscriptions.topics", topic, "one of subscriptions.topics")
		}
		k.allow("subscriptions.allow", rules[topic])
	}
}
