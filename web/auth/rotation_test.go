package auth

import (
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"parley/routing"
)

// issuer publishes keys over https.
type issuer struct {
	*httptest.Server
	set   atomic.Pointer[[]byte] // nil: it is down
	asked atomic.Int32
}

func newIssuer(t *testing.T, keys ...jose.JSONWebKey) *issuer {
	i := &issuer{}
	i.publish(keys...)
	i.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.asked.Add(1)
		if set := i.set.Load(); set != nil {
			_, _ = w.Write(*set)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) publish(keys ...jose.JSONWebKey) {
	set := setOf(keys...)
	i.set.Store(&set)
}

// trusting is a verifier that runs, of the keys that issuers publish.
func trusting(t *testing.T, o Options, issuers ...*issuer) *Verifier {
	o.Algorithms, o.Client = []string{"ES256"}, issuers[0].Client()
	for _, i := range issuers {
		o.JWKS = append(o.JWKS, i.URL)
	}
	return run(t, newVerifier(t, o))
}

func published(id string) jose.JSONWebKey {
	key := map[string]any{"old": &ecKey.PublicKey, "new": &newKeyEC.PublicKey}[id]
	return jose.JSONWebKey{Key: key, KeyID: id, Algorithm: "ES256", Use: "sig"}
}

// An issuer publishes a new key and signs with it at once: the first token waits until
// the key is there. What is signed by the old one goes on as long as that is published,
// and the key that is gone counts no longer.
func TestRotation(t *testing.T) {
	i := newIssuer(t, published("old"))
	v := trusting(t, Options{Pause: time.Nanosecond}, i)
	old, fresh := sign(t, jose.ES256, ecKey, "old", claims(nil)), sign(t, jose.ES256, newKeyEC, "new", claims(nil))
	believed := func(what, token string, should bool) {
		t.Helper()
		_, e := v.Authenticate(t.Context(), token)
		if (e == nil) != should {
			t.Errorf("%s: got %v", what, e)
		}
	}
	believed("before", old, true)
	believed("too early", fresh, false)
	i.publish(published("old"), published("new"))
	believed("after", fresh, true)
	believed("the other", sign(t, jose.ES256, ecKey, "old", claims(map[string]any{"n": 1})), true)
	i.publish(published("new"))
	believed("unknown: has it looked at", sign(t, jose.ES256, ecKey, "gone", claims(nil)), false)
	believed("taken back", sign(t, jose.ES256, ecKey, "old", claims(map[string]any{"n": 2})), false)
}

// While the issuer is down its keys go on counting; a stranger's token does not ask it
// more often than may be.
func TestIssuerDown(t *testing.T) {
	i := newIssuer(t, published("old"))
	v := trusting(t, Options{Pause: time.Hour}, i)
	_, e := v.Authenticate(t.Context(), sign(t, jose.ES256, ecKey, "old", claims(nil)))
	want(t, "while it is up", e == nil, true)
	i.set.Store(nil)
	for n := range 50 {
		_, e = v.Authenticate(t.Context(), sign(t, jose.ES256, newKeyEC, "stranger", claims(map[string]any{"n": n})))
		want(t, "a stranger", e.Word, routing.Unauthorized)
	}
	_, e = v.Authenticate(t.Context(), sign(t, jose.ES256, ecKey, "old", claims(map[string]any{"n": 1})))
	want(t, "while it is down", e == nil, true)
	want(t, "asked", i.asked.Load(), 1)
}

// An issuer that was never there makes tokens unavailable, and the node not ready, until
// it is.
func TestIssuerNeverThere(t *testing.T) {
	i := newIssuer(t)
	i.set.Store(nil)
	v := trusting(t, Options{Pause: time.Nanosecond, Refresh: time.Minute}, i)
	token := sign(t, jose.ES256, ecKey, "old", claims(nil))
	_, e := v.Authenticate(t.Context(), token)
	want(t, "word", e.Word, routing.Unavailable)
	want(t, "ready", v.Ready(t.Context()) != nil, true)
	i.publish(published("old"))
	for e != nil { // the test's time limit ends it
		_, e = v.Authenticate(t.Context(), token)
	}
	want(t, "ready", v.Ready(t.Context()), nil)
}

// What an issuer publishes besides signing keys is not used: least of all a secret that
// everybody can read.
func TestSecretInPublic(t *testing.T) {
	i := newIssuer(t, jose.JSONWebKey{Key: secret, KeyID: "s", Algorithm: "HS256"}, published("old"))
	v := newVerifier(t, Options{Algorithms: []string{"HS256", "ES256"}, JWKS: []string{i.URL}, Client: i.Client()})
	v.sources[0].look(t.Context())
	want(t, "keys", len(v.sources[0].all()), 1)
	_, e := v.Authenticate(t.Context(), sign(t, jose.HS256, secret, "s", claims(nil)))
	want(t, "believed", e == nil, false)
}

// A file that is replaced is read anew; one that has become bad is not.
func TestFileRotates(t *testing.T) {
	path := pemOf(t, &ecKey.PublicKey)
	v := newVerifier(t, Options{Algorithms: []string{"ES256"}, Keys: []string{path}})
	for _, step := range []struct {
		text []byte
		good bool
	}{{must(os.ReadFile(pemOf(t, &newKeyEC.PublicKey))), true}, {[]byte("half"), true}} {
		if err := os.WriteFile(path, step.text, 0o600); err != nil {
			t.Fatal(err)
		}
		v.sources[0].look(t.Context())
		_, e := v.Authenticate(t.Context(), sign(t, jose.ES256, newKeyEC, "", claims(nil)))
		want(t, "the new key", e == nil, step.good)
	}
}
