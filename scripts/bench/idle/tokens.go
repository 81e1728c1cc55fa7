package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// issuer signs tokens.
type issuer struct{ key []byte }

// newIssuer reads a JWK. "" stands for an issuer whose tokens are empty.
func newIssuer(file string) (issuer, error) {
	if file == "" {
		return issuer{}, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return issuer{}, err
	}
	var jwk struct{ K string }
	if err := json.Unmarshal(text, &jwk); err != nil {
		return issuer{}, fmt.Errorf("%s: %w", file, err)
	}
	key, err := base64.RawURLEncoding.DecodeString(jwk.K)
	return issuer{key}, err
}

// next answers the token of somebody who has had none before. It holds for a day, and has
// what tokens usually have.
func (i issuer) next() string {
	if i.key == nil {
		return ""
	}
	now := time.Now().Unix()
	claims := fmt.Appendf(nil, `{"iss":"https://issuer.example","aud":"parley","sub":"%s","iat":%d,"exp":%d,"roles":["clerk","reader"]}`,
		rand.Text(), now, now+86400)
	text := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(claims)
	mac := hmac.New(sha256.New, i.key)
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil))
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
