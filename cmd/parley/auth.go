package main

import (
	"fmt"
	"time"

	"parley/routing"
	"parley/web/auth"
)

// joinAuth makes the verifier of tokens, where there is one.
func (n *node) joinAuth() (err error) {
	a := n.cfg.Auth
	if !a.on() {
		return nil
	}
	n.auth, err = auth.New(auth.Options{
		Algorithms: a.JWT.Algorithms, Keys: a.JWT.Keys, JWKS: a.JWT.JWKS, Issuer: a.JWT.Issuer, Audience: a.JWT.Audience,
		SubjectClaim: a.JWT.SubjectClaim, Leeway: time.Duration(a.JWT.Leeway), Required: a.Required, Claims: n.cfg.hasRules(), Log: n.log,
	})
	if err != nil {
		return fmt.Errorf("configure authentication: %w", err)
	}
	return nil
}

// hasRules tells whether any rule asks for claims.
func (c *Config) hasRules() bool {
	for _, s := range c.Services {
		if s.Allow != "" {
			return true
		}
	}
	return c.Subscriptions.Allow != ""
}

// rule answers who an expression lets; "" stands for whoever has shown a token, and
// where all must, nobody need be asked.
func (n *node) rule(text string) *routing.Rule {
	if text == "" {
		if n.auth != nil && !n.cfg.Auth.Required {
			return routing.Known
		}
		return nil
	}
	rule, err := compileRule(text)
	if err != nil {
		panic(err) // a bug: the configuration was checked
	}
	return rule
}

// feedRules answers who may subscribe, by topic.
func (n *node) feedRules() map[string]*routing.Rule {
	texts, _ := n.cfg.Subscriptions.Allow.byName() // the configuration's check has read it before
	rules := make(map[string]*routing.Rule)
	for _, topic := range n.cfg.Subscriptions.Topics {
		rules[topic] = n.rule(texts[topic])
	}
	return rules
}
