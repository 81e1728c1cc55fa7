package auth

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"parley/routing"
)

// everything is a verifier of RS256 and ES256 tokens, for an issuer and an audience.
func everything(t testing.TB) *Verifier {
	return run(t, newVerifier(t, Options{
		Algorithms: []string{"RS256", "ES256"}, Keys: []string{pemOf(t, &rsaKey.PublicKey), pemOf(t, &ecKey.PublicKey)},
		Issuer: "https://issuer.example", Audience: "parley", Leeway: 30 * time.Second, Required: true, Claims: true,
	}))
}

// A good token says who shows it, until when, and what rules may ask.
func TestGoodToken(t *testing.T) {
	v := everything(t)
	exp := time.Now().Add(time.Hour).Unix()
	for name, token := range map[string]string{
		"RSA":                 sign(t, jose.RS256, rsaKey, "", claims(map[string]any{"exp": exp})),
		"ECDSA":               sign(t, jose.ES256, ecKey, "", claims(map[string]any{"exp": exp})),
		"a kid of PEM's":      sign(t, jose.ES256, ecKey, "k1", claims(map[string]any{"exp": exp})),
		"several audiences":   sign(t, jose.RS256, rsaKey, "", claims(map[string]any{"exp": exp, "aud": []string{"other", "parley"}})),
		"just within leeway":  sign(t, jose.RS256, rsaKey, "", claims(map[string]any{"exp": exp, "nbf": time.Now().Add(20 * time.Second).Unix()})),
		"a fraction of a day": sign(t, jose.RS256, rsaKey, "", claims(map[string]any{"exp": float64(exp) + 0.25})),
	} {
		c, e := v.Authenticate(t.Context(), token)
		if e != nil {
			t.Errorf("%s: %v", name, e)
			continue
		}
		want(t, name+": subject", c.Subject, "ann")
		want(t, name+": until", c.Until.Unix(), exp+30)
		want(t, name+": claims", strings.Contains(string(c.Claims), `"role":"clerk"`), true)
		again, _ := v.Authenticate(t.Context(), token)
		want(t, name+": remembered", again, c)
	}
}

// Whatever somebody who has no key can make is refused, and for the reason that holds.
func TestHostileTokens(t *testing.T) {
	v := everything(t)
	good := sign(t, jose.RS256, rsaKey, "", claims(nil))
	part := strings.Split(good, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	text := func(changes map[string]any) string { return sign(t, jose.RS256, rsaKey, "", claims(changes)) }
	embedded := must(jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: newKeyEC}, &jose.SignerOptions{EmbedJWK: true}))
	abroad := must(jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: newKeyEC}, (&jose.SignerOptions{}).WithHeader("jku", "http://127.0.0.1:1/").WithHeader("x5u", "http://127.0.0.1:1/")))
	public := must(x509.MarshalPKIXPublicKey(&rsaKey.PublicKey))
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	now := time.Now()
	for name, c := range map[string]struct{ token, says string }{
		"none at all":         {"", "required"},
		"no algorithm":        {b64([]byte(`{"alg":"none"}`)) + "." + part[1] + ".", "algorithms"},
		"none, spelt so":      {b64([]byte(`{"alg":"nOnE"}`)) + "." + part[1] + "." + part[2], "algorithms"},
		"HMAC by DER":         {sign(t, jose.HS256, public, "", claims(nil)), "algorithms"},
		"HMAC by PEM":         {sign(t, jose.HS256, publicPEM, "", claims(nil)), "algorithms"},
		"not allowed":         {sign(t, jose.RS512, rsaKey, "", claims(nil)), "algorithms"},
		"PSS":                 {sign(t, jose.PS256, rsaKey, "", claims(nil)), "algorithms"},
		"expired":             {text(map[string]any{"exp": now.Add(-31 * time.Second).Unix()}), "expired"},
		"no expiry":           {text(map[string]any{"exp": nil}), "exp"},
		"expiry as text":      {text(map[string]any{"exp": "2099-01-01"}), "exp"},
		"negative expiry":     {text(map[string]any{"exp": -1}), "exp"},
		"not yet valid":       {text(map[string]any{"nbf": now.Add(time.Minute).Unix()}), "nbf"},
		"made tomorrow":       {text(map[string]any{"iat": now.Add(24 * time.Hour).Unix()}), "iat"},
		"nbf as text":         {text(map[string]any{"nbf": "now"}), "nbf"},
		"wrong issuer":        {text(map[string]any{"iss": "https://issuer.example/"}), "issuer"},
		"no issuer":           {text(map[string]any{"iss": nil}), "issuer"},
		"wrong audience":      {text(map[string]any{"aud": "parley2"}), "audience"},
		"no audience":         {text(map[string]any{"aud": []string{}}), "audience"},
		"no subject":          {text(map[string]any{"sub": nil}), "sub"},
		"empty subject":       {text(map[string]any{"sub": ""}), "sub"},
		"a number's subject":  {text(map[string]any{"sub": 7}), "sub"},
		"a header's subject":  {text(map[string]any{"sub": "ann\r\nx: y"}), "sub"},
		"a long subject":      {text(map[string]any{"sub": strings.Repeat("a", maxSubject+1)}), "sub"},
		"unknown key":         {sign(t, jose.ES256, newKeyEC, "", claims(nil)), "not known"},
		"unknown kid":         {sign(t, jose.ES256, newKeyEC, "other", claims(nil)), "not known"},
		"embedded key":        {must(jwt.Signed(embedded).Claims(claims(nil)).Serialize()), "not known"},
		"key elsewhere":       {must(jwt.Signed(abroad).Claims(claims(nil)).Serialize()), "not known"},
		"other's claims":      {part[0] + "." + b64([]byte(`{"sub":"root","exp":9999999999,"iss":"https://issuer.example","aud":"parley"}`)) + "." + part[2], "not known"},
		"no signature":        {part[0] + "." + part[1] + ".", "not known"},
		"claims are a list":   {signText(`["sub"]`), "object"},
		"huge":                {good + strings.Repeat("A", maxToken), "bytes"},
		"malformed":           {"not.a.token", "JWT"},
		"one part":            {"abc", "JWT"},
		"four parts":          {good + ".x", "JWT"},
		"JSON serialization":  {`{"payload":"` + part[1] + `","protected":"` + part[0] + `","signature":"` + part[2] + `"}`, "JWT"},
		"another spelling":    {respelt(good), "JWT"},
		"blanks":              {" " + good + " ", "JWT"},
		"critical extensions": {b64([]byte(`{"alg":"RS256","crit":["x"],"x":1}`)) + "." + part[1] + "." + part[2], "not known"},
	} {
		_, e := v.Authenticate(t.Context(), c.token)
		switch {
		case e == nil:
			t.Errorf("%s: it is believed", name)
		case e.Word != routing.Unauthorized || e.Outcome != routing.NotSent || !strings.Contains(e.Message, c.says):
			t.Errorf("%s: got %v, want %q", name, e, c.says)
		case c.token != "" && strings.Contains(e.Message, c.token):
			t.Errorf("%s: the token is told", name)
		}
	}
}

// respelt changes the bits of a token's last character that base64url leaves over.
func respelt(token string) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(digits, token[len(token)-1])
	return token[:len(token)-1] + string(digits[last|1])
}

// A member that stands twice is one thing to us and another to the service.
func TestTwice(t *testing.T) {
	v := everything(t)
	token := signText(`{"sub":"ann","sub":"root","exp":9999999999,"iss":"https://issuer.example","aud":"parley"}`)
	if _, e := v.Authenticate(t.Context(), token); e == nil {
		t.Error("it is believed")
	}
}

// A token that was good is refused from the moment it expires, remembered or not.
func TestExpires(t *testing.T) {
	path := pemOf(t, edKey.Public())
	synctest.Test(t, func(t *testing.T) {
		v := newVerifier(t, Options{Algorithms: []string{"EdDSA"}, Keys: []string{path}, Leeway: 5 * time.Second})
		token := sign(t, jose.EdDSA, edKey, "", claims(map[string]any{"exp": time.Now().Add(30 * time.Second).Unix()}))
		for _, step := range []struct {
			after time.Duration
			good  bool
		}{{0, true}, {34 * time.Second, true}, {time.Second, false}, {time.Hour, false}} {
			time.Sleep(step.after)
			_, e := v.Authenticate(t.Context(), token)
			want(t, step.after.String(), e == nil, step.good)
		}
	})
}

// Where no token is required who shows none is nobody in particular; who shows a bad one
// is told so.
func TestAnonymous(t *testing.T) {
	v := newVerifier(t, Options{Algorithms: []string{"ES256"}, Keys: []string{pemOf(t, &ecKey.PublicKey)}})
	c, e := v.Authenticate(t.Context(), "")
	if c != nil || e != nil {
		t.Errorf("got %v, %v", c, e)
	}
	if _, e := v.Authenticate(t.Context(), "x"); e == nil {
		t.Error("a bad token is believed")
	}
	c, e = v.Authenticate(t.Context(), sign(t, jose.ES256, ecKey, "", claims(nil)))
	if e != nil || c.Claims != nil {
		t.Errorf("got %+v, %v", c, e)
	}
}

// Of thousands of tokens only so many are remembered.
func TestMemoryIsBounded(t *testing.T) {
	var m memory
	now := time.Now()
	for i := range 3 * rememberMost {
		m.add(tokenName{byte(i), byte(i >> 8), byte(i >> 16)}, &routing.Caller{Until: now.Add(time.Hour)}, now)
	}
	want(t, "remembered", len(m.newest)+len(m.before) <= 2*rememberMost, true)
	want(t, "the newest", m.find(tokenName{0xff, 0x2f}, now) != nil, true)
	want(t, "the oldest", m.find(tokenName{}, now) == nil, true)
}

// A key in a file is one to verify by, of a size that means something, for one of the
// algorithms.
func TestFiles(t *testing.T) {
	short := must(os.ReadFile(pemOf(t, &ecKey.PublicKey)))
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(ecKey))})
	pair := setOf(jose.JSONWebKey{Key: ecKey, KeyID: "k"})
	for name, c := range map[string]struct {
		text []byte
		alg  string
		says string // "" for nothing
	}{
		"PEM":              {short, "ES256", ""},
		"two PEM":          {append(short, short...), "ES256", ""},
		"a set":            {setOf(jose.JSONWebKey{Key: &rsaKey.PublicKey, KeyID: "k"}), "PS384", ""},
		"one JWK":          {must(jose.JSONWebKey{Key: secret}.MarshalJSON()), "HS256", ""},
		"a pair":           {pair, "ES256", ""},
		"a private key":    {private, "ES256", "public key"},
		"another kind":     {short, "RS256", "no key for RS256"},
		"a short secret":   {must(jose.JSONWebKey{Key: secret}.MarshalJSON()), "HS512", "no key for HS512"},
		"for encryption":   {setOf(jose.JSONWebKey{Key: &rsaKey.PublicKey, Use: "enc"}), "RS256", "use"},
		"nothing":          {nil, "RS256", "neither"},
		"an empty set":     {[]byte(`{"keys":[]}`), "RS256", "no keys"},
		"bad JSON":         {[]byte(`{`), "RS256", "JSON"},
		"of no known kind": {[]byte(`{"kty":"x"}`), "RS256", "no JWK"},
	} {
		err := CheckFile(file(t, c.text), []string{c.alg})
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
	}
	if _, err := New(Options{Algorithms: []string{"none"}, Keys: []string{"/nowhere"}}); err == nil || !strings.Contains(err.Error(), `"none"`) || !strings.Contains(err.Error(), "/nowhere") {
		t.Errorf("got %v", err)
	}
}

// What anybody sends is refused without harm.
func FuzzAuthenticate(f *testing.F) {
	v := everything(f)
	good := sign(f, jose.RS256, rsaKey, "k", claims(nil))
	for _, seed := range []string{"", good, good[:len(good)-2], "a.b.c", "eyJhbGciOiJub25lIn0.e30."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		c, e := v.Authenticate(t.Context(), token)
		if (c == nil) == (e == nil) {
			t.Errorf("got %v and %v", c, e)
		}
		if e == nil && token != good && !strings.HasPrefix(token, good[:strings.LastIndex(good, ".")+1]) {
			t.Error("a token that nobody signed is believed")
		}
	})
}

// FuzzKeys reads whatever an issuer may publish.
func FuzzKeys(f *testing.F) {
	f.Add(setOf(jose.JSONWebKey{Key: &rsaKey.PublicKey, KeyID: "k"}))
	f.Add(must(os.ReadFile(pemOf(f, &ecKey.PublicKey))))
	f.Fuzz(func(t *testing.T, text []byte) {
		set, _ := parseSet(text)
		keys, _ := parseFile(text)
		for _, k := range append(set, keys...) {
			k.fits("RS256")
		}
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	v := everything(b)
	token := sign(b, jose.ES256, ecKey, "", claims(nil))
	for name, forget := range map[string]bool{"verified": true, "remembered": false} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if forget {
					v.memory.newest = nil
				}
				if _, e := v.Authenticate(b.Context(), token); e != nil {
					b.Fatal(e)
				}
			}
		})
	}
}
