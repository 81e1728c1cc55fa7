package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"parley/routing"
)

// Options are what a Verifier is made of. Algorithms and one of Keys and JWKS are
// required; the zero value of each other field stands for its default.
type Options struct {
	Algorithms []string // of Algorithms()
	Keys       []string // files: PEM, JWK or a set of JWKs
	JWKS       []string // https URLs of sets of JWKs

	Issuer, Audience string        // what iss and aud must be; "": anything
	SubjectClaim     string        // sub
	Leeway           time.Duration // by how much clocks may differ: none

	Required bool // callers without a token are refused, not nobody in particular
	Claims   bool // callers keep the claims, since there are rules that ask for them

	Client  *http.Client  // for URLs
	Refresh time.Duration // between two looks at a URL: 5 min
	Pause   time.Duration // between two that were asked for by tokens: 10 s

	Log *slog.Logger // none
}

func (o Options) withDefaults() Options {
	if o.SubjectClaim == "" {
		o.SubjectClaim = "sub"
	}
	if o.Refresh <= 0 {
		o.Refresh = 5 * time.Minute
	}
	if o.Pause <= 0 {
		o.Pause = 10 * time.Second
	}
	if o.Client == nil {
		o.Client = newClient()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Verifier knows which tokens to believe. Its methods may be called from any goroutine.
type Verifier struct {
	o          Options
	algorithms []jose.SignatureAlgorithm
	sources    []*source
	memory     memory
}

// New makes a verifier, with the keys of files; those behind URLs come with Run. The
// error names every option that is wrong.
func New(o Options) (*Verifier, error) {
	v := &Verifier{o: o.withDefaults()}
	var errs []error
	for _, name := range o.Algorithms {
		if !slices.Contains(Algorithms(), name) {
			errs = append(errs, fmt.Errorf("there is no algorithm %q", name))
		}
		v.algorithms = append(v.algorithms, jose.SignatureAlgorithm(name))
	}
	if len(v.algorithms) == 0 || len(o.Keys)+len(o.JWKS) == 0 {
		errs = append(errs, errors.New("there must be an algorithm and a key"))
	}
	for _, file := range o.Keys {
		s, err := newFile(file, v.o)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file, err))
		}
		v.sources = append(v.sources, s)
	}
	for _, url := range o.JWKS {
		v.sources = append(v.sources, newRemote(url, v.o))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	return v, nil
}

// Run keeps the keys up to date until ctx ends.
func (v *Verifier) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, s := range v.sources {
		running.Go(func() { s.run(ctx) })
	}
	running.Wait()
	v.o.Client.CloseIdleConnections()
	return nil
}

// Ready answers an error while keys are missing that were never there.
func (v *Verifier) Ready(context.Context) error {
	for _, s := range v.sources {
		if !s.known() {
			return errors.New("no keys have come yet from " + s.name)
		}
	}
	return nil
}

// maxToken is how long a token may be, in bytes.
const maxToken = 16 << 10

// Authenticate answers who shows a token; nil for nobody in particular, where that is
// allowed. It may block while keys are read, until ctx ends. The error is Unauthorized,
// or Unavailable where keys are missing.
func (v *Verifier) Authenticate(ctx context.Context, token string) (*routing.Caller, *routing.Error) {
	switch {
	case token == "" && v.o.Required:
		return nil, unauthorized("a token is required")
	case token == "":
		return nil, nil
	case len(token) > maxToken:
		return nil, unauthorized("the token has more than %d bytes", maxToken)
	}
	name, now := nameOf(token), time.Now()
	if caller := v.memory.find(name, now); caller != nil {
		return caller, nil
	}
	parsed, err := jwt.ParseSigned(token, v.algorithms)
	if err != nil || len(parsed.Headers) != 1 || !isStrict(token) {
		return nil, unauthorized("the token is no JWT that is signed by one of the algorithms %v", v.o.Algorithms)
	}
	raw, e := v.verify(ctx, parsed)
	if e != nil {
		return nil, e
	}
	caller, e := v.caller(raw, time.Now())
	if e == nil {
		v.memory.add(name, caller, now)
	}
	return caller, e
}

// isStrict tells whether a token is spelt in the one way in which it may be: base64url
// leaves bits at the end of a part that mean nothing, and must be none.
func isStrict(token string) bool {
	for part := range strings.SplitSeq(token, ".") {
		if _, err := base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return false
		}
	}
	return true
}

// verify answers the claims of a token whose signature is one of ours.
func (v *Verifier) verify(ctx context.Context, token *jwt.JSONWebToken) ([]byte, *routing.Error) {
	raw, tried := v.try(token)
	if raw == nil && !tried && v.refresh(ctx) {
		raw, tried = v.try(token)
	}
	switch {
	case raw != nil:
		return raw, nil
	case tried:
		return nil, unauthorized("the token's signature is wrong")
	case v.Ready(ctx) != nil:
		return nil, &routing.Error{Word: routing.Unavailable, Message: "tokens cannot be verified at the moment", Outcome: routing.NotSent, Retry: true}
	}
	return nil, unauthorized("the token is signed by a key that is not known here")
}

// maxTries bounds the keys that a token is held against.
const maxTries = 8

// try holds a token against the keys that may be its own. tried tells whether there is
// one of its name: then no other need be looked for.
func (v *Verifier) try(token *jwt.JSONWebToken) (raw []byte, tried bool) {
	header, tries := token.Headers[0], 0
	for _, s := range v.sources {
		for _, k := range s.all() {
			if !k.fits(header.Algorithm) || k.id != "" && header.KeyID != "" && k.id != header.KeyID {
				continue
			}
			tried = tried || k.id != "" && k.id == header.KeyID
			if tries++; tries > maxTries {
				return nil, tried
			}
			var claims jsonText
			if token.Claims(k.value, &claims) == nil {
				return claims, true
			}
		}
	}
	return nil, tried
}

// refresh has all sources read, unless they were a moment ago, and waits for it. It
// answers whether any was.
func (v *Verifier) refresh(ctx context.Context) (any bool) {
	ctx, cancel := context.WithTimeout(ctx, longestWait)
	defer cancel()
	var looks []<-chan struct{}
	for _, s := range v.sources {
		if done := s.ask(); done != nil {
			looks = append(looks, done)
		}
	}
	for _, done := range looks {
		select {
		case <-done:
			any = true
		case <-ctx.Done():
			return any
		}
	}
	return any
}

// longestWait is how long a token waits for keys to be read.
const longestWait = 4 * time.Second

func unauthorized(format string, args ...any) *routing.Error {
	return &routing.Error{Word: routing.Unauthorized, Message: fmt.Sprintf(format, args...), Outcome: routing.NotSent}
}
