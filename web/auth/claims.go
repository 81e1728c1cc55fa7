package auth

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4/json"

	"parley/routing"
)

// jsonText takes a token's claims as they stand there.
type jsonText []byte

func (t *jsonText) UnmarshalJSON(text []byte) error {
	*t = slices.Clone(text)
	return nil
}

// caller answers who the claims are about, if they hold now.
func (v *Verifier) caller(raw []byte, now time.Time) (*routing.Caller, *routing.Error) {
	var claims map[string]any
	if err := json.Unmarshal(raw, &claims); err != nil || claims == nil { // of a member twice too
		return nil, unauthorized("the token's claims are no JSON object")
	}
	until, e := v.holds(claims, now)
	if e != nil {
		return nil, e
	}
	if v.o.Issuer != "" && claims["iss"] != v.o.Issuer {
		return nil, unauthorized("the token is another issuer's")
	}
	if v.o.Audience != "" && !isFor(claims["aud"], v.o.Audience) {
		return nil, unauthorized("the token is for another audience")
	}
	subject, _ := claims[v.o.SubjectClaim].(string)
	if !isSubject(subject) {
		return nil, unauthorized("the token's claim %s must be text of 1 to %d bytes, all visible", v.o.SubjectClaim, maxSubject)
	}
	c := &routing.Caller{Subject: subject, Until: until}
	if v.o.Claims {
		c.Claims = raw
	}
	return c, nil
}

// holds answers until when a token holds, if it does now.
func (v *Verifier) holds(claims map[string]any, now time.Time) (until time.Time, e *routing.Error) {
	ends, ok := moment(claims["exp"])
	if !ok {
		return until, unauthorized("the token does not say when it expires (exp)")
	}
	if until = ends.Add(v.o.Leeway); !now.Before(until) {
		return until, unauthorized("the token has expired")
	}
	for _, name := range []string{"nbf", "iat"} {
		claim, says := claims[name]
		begins, ok := moment(claim)
		switch {
		case says && !ok:
			return until, unauthorized("the token's claim %s is no time", name)
		case says && begins.After(now.Add(v.o.Leeway)):
			return until, unauthorized("the token is not valid yet (%s)", name)
		}
	}
	return until, nil
}

// latest is a moment that is as good as never, and fits any arithmetic.
const latest = 1e11

// moment reads a NumericDate.
func moment(claim any) (time.Time, bool) {
	seconds, ok := claim.(float64)
	if !ok || seconds < 0 {
		return time.Time{}, false
	}
	seconds = min(seconds, latest)
	return time.UnixMilli(int64(seconds * 1000)), true
}

// isFor tells whether an audience, one or a list, has this one.
func isFor(aud any, one string) bool {
	list, _ := aud.([]any)
	return aud == one || slices.Contains(list, any(one))
}

// maxSubject is how long a subject may be, in bytes: it goes into records and Redis.
const maxSubject = 256

// isSubject tells whether a text may be a subject: services get it in a header.
func isSubject(s string) bool {
	hidden := func(r rune) bool { return !unicode.IsPrint(r) }
	return s != "" && len(s) <= maxSubject && utf8.ValidString(s) && !strings.ContainsFunc(s, hidden) && strings.TrimSpace(s) == s
}
