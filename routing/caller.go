package routing

import (
	"sync"
	"time"
)

// Caller is who asks, as far as a door has found out. nil is nobody in particular: a
// caller that has shown nothing, or that was not asked to. It may be used by any
// goroutine. Every session has one: so its decisions are no map, and its claims, which may
// be thousands of bytes, are let go once all rules have been asked.
type Caller struct {
	Subject string
	Claims  []byte    // what else is known of it, for rules: a JSON object, or nil. Only rules may look
	Until   time.Time // when that ceases to hold

	mu      sync.Mutex // also of Claims, once a door has the caller
	decided []decision // one a rule: bounded by the configuration
}

// decision is what a rule says of a caller.
type decision struct {
	rule *Rule
	may  bool
}

// Name is the caller's subject, "" for nobody's.
func (c *Caller) Name() string {
	if c == nil {
		return ""
	}
	return c.Subject
}

// Rule says who may use something. A nil rule lets everybody.
type Rule struct {
	allows    func(*Caller) bool
	anonymous bool // what it says of nobody in particular
}

// NewRule makes a rule of a function, which is asked once a caller, and must neither
// block nor answer differently later.
func NewRule(allows func(*Caller) bool) *Rule { return &Rule{allows, allows(nil)} }

// Known is the rule that lets whoever has shown who it is.
var Known = NewRule(func(c *Caller) bool { return c != nil })

// Allows tells whether a caller may.
func (r *Rule) Allows(c *Caller) bool {
	switch {
	case r == nil:
		return true
	case c == nil:
		return r.anonymous
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.decided {
		if d.rule == r {
			return d.may
		}
	}
	may := r.allows(c)
	c.decided = append(c.decided, decision{r, may})
	return may
}

// forgetClaims says that there are no more rules to ask.
func (c *Caller) forgetClaims() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Claims = nil
}

// Refuse answers the error of a caller that may not use what, nil for one that may.
// One that has shown nothing might, once it has.
func (r *Rule) Refuse(c *Caller, what string) *Error {
	switch {
	case r.Allows(c):
		return nil
	case c == nil:
		return refuse(Unauthorized, false, "%s is for callers that show a token", what)
	}
	return refuse(Forbidden, false, "%s is not for this caller", what)
}
