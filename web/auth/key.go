package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Algorithms are the names of those that tokens may be signed by.
func Algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"}
}

// key is one that signatures are verified by.
type key struct {
	id    string // kid; "" where it has none
	alg   string // the only algorithm that it is for; "" for any of its kind
	value any    // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey, or []byte for HMAC
}

// fits tells whether the key is one for an algorithm.
func (k key) fits(alg string) bool {
	if k.alg != "" && k.alg != alg {
		return false
	}
	switch value := k.value.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		return alg == map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[value.Params().Name]
	case ed25519.PublicKey:
		return alg == "EdDSA"
	case []byte:
		return strings.HasPrefix(alg, "HS") && len(value)*8 >= bitsOf(alg)
	}
	return false
}

// bitsOf is how many bits a secret must have for an HMAC (RFC 7518, 3.2).
func bitsOf(alg string) int {
	return map[string]int{"HS256": 256, "HS384": 384, "HS512": 512}[alg]
}

const (
	maxKeys    = 100 // of a source
	minRSABits = 2048
)

// fitting keeps the keys that are for one of the algorithms.
func fitting(keys []key, algorithms []string) []key {
	return slices.DeleteFunc(keys, func(k key) bool { return !slices.ContainsFunc(algorithms, k.fits) })
}

// parseFile reads keys as they stand in a file: PEM, a JWK, or a set of JWKs. All must
// be ones to verify by.
func parseFile(text []byte) ([]key, error) {
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		raws, err := splitSet(text)
		if err != nil {
			return nil, err
		}
		var keys []key
		for _, raw := range raws {
			k, err := parseJWK(raw)
			if err != nil {
				return nil, err
			}
			keys = append(keys, k)
		}
		return keys, nil
	}
	return parsePEM(text)
}

// parseSet reads the set of JWKs that an issuer publishes. What is not for verifying
// signatures, or not understood, is left out: sets may hold other things. So is a secret,
// which would be none.
func parseSet(text []byte) (keys []key, err error) {
	raws, err := splitSet(text)
	if err != nil {
		return nil, err
	}
	for _, raw := range raws {
		k, err := parseJWK(raw)
		if _, secret := k.value.([]byte); err == nil && !secret {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// splitSet answers the keys of a set, or the one key.
func splitSet(text []byte) ([]json.RawMessage, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
		Kind string            `json:"kty"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New("it is no JSON")
	}
	switch {
	case set.Kind != "":
		return []json.RawMessage{text}, nil
	case len(set.Keys) == 0:
		return nil, errors.New("it has no keys")
	case len(set.Keys) > maxKeys:
		return nil, fmt.Errorf("it has more than %d keys", maxKeys)
	}
	return set.Keys, nil
}

// parseJWK reads a key; of a pair its public half.
func parseJWK(text []byte) (key, error) {
	var k jose.JSONWebKey
	if err := k.UnmarshalJSON(text); err != nil {
		return key{}, errors.New("it has a key that is no JWK of a kind that is known here")
	}
	if k.Use != "" && k.Use != "sig" {
		return key{}, errors.New("it has a key that is not for signatures (use)")
	}
	if _, secret := k.Key.([]byte); !secret {
		k = k.Public()
	}
	return newKey(k.KeyID, k.Algorithm, k.Key)
}

// newKey takes a key that is good enough.
func newKey(id, alg string, value any) (key, error) {
	switch value := value.(type) {
	case *rsa.PublicKey:
		if value.N.BitLen() < minRSABits {
			return key{}, fmt.Errorf("an RSA key must have %d bits or more", minRSABits)
		}
	case *ecdsa.PublicKey, ed25519.PublicKey, []byte:
	default:
		return key{}, fmt.Errorf("it has a %T: want an RSA, ECDSA or Ed25519 public key", value)
	}
	return key{id, alg, value}, nil
}

// parsePEM reads public keys and certificates.
func parsePEM(text []byte) (keys []key, err error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		value, err := parseBlock(block)
		if err != nil {
			return nil, err
		}
		k, err := newKey("", "", value)
		if err != nil {
			return nil, err
		}
		if keys = append(keys, k); len(keys) > maxKeys {
			return nil, fmt.Errorf("it has more than %d keys", maxKeys)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("it is neither PEM nor JWK")
	}
	return keys, nil
}

func parseBlock(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return cert.PublicKey, nil
	}
	return nil, fmt.Errorf("it has a %s: want a public key or a certificate", block.Type)
}
