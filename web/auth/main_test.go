package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The keys of these tests.
var (
	rsaKey   = must(rsa.GenerateKey(rand.Reader, 2048))
	ecKey    = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	newKeyEC = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	edKey    = must2(ed25519.GenerateKey(rand.Reader))
	secret   = []byte("0123456789abcdef0123456789abcdef")
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func must2(_ ed25519.PublicKey, key ed25519.PrivateKey, err error) ed25519.PrivateKey {
	return must(key, err)
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// claims are what a good token says, changed as a test likes; nil takes one away.
func claims(changes map[string]any) map[string]any {
	all := map[string]any{"sub": "ann", "iss": "https://issuer.example", "aud": "parley", "exp": time.Now().Add(time.Hour).Unix(), "role": "clerk"}
	for name, value := range changes {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	return all
}

// sign makes a token.
func sign(t testing.TB, alg jose.SignatureAlgorithm, key any, kid string, claims any) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType("JWT")
	if kid != "" {
		options.WithHeader("kid", kid)
	}
	return must(jwt.Signed(must(jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options))).Claims(claims).Serialize())
}

// pemOf writes a public key into a file.
func pemOf(t testing.TB, key crypto.PublicKey) string {
	t.Helper()
	return file(t, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(key))}))
}

func file(t testing.TB, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// setOf is a set of JWKs.
func setOf(keys ...jose.JSONWebKey) []byte {
	return must(json.Marshal(jose.JSONWebKeySet{Keys: keys}))
}

func newVerifier(t testing.TB, o Options) *Verifier {
	t.Helper()
	v, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// signText makes a token of any payload.
func signText(payload string) string {
	signer := must(jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: rsaKey}, nil))
	return must(must(signer.Sign([]byte(payload))).CompactSerialize())
}

// run has a verifier look at its keys until the test ends.
func run(t testing.TB, v *Verifier) *Verifier {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = v.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return v
}
