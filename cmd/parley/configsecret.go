package main

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
)

// masked is what is shown of a secret.
const masked = "***"

// Secret is text that is never shown: however it is printed, it is masked. Use
// string(s) to get it.
type Secret string

// String answers the mask, or "" where nothing is set.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText is String, for JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// SecretURL is a URL that may hold a password, which is never shown. Use
// string(u) to get it.
type SecretURL string

// String answers the URL with its password and query masked; all of it where it
// cannot be read as a URL.
func (u SecretURL) String() string {
	if u == "" {
		return ""
	}
	parsed, err := url.Parse(string(u))
	if err != nil || parsed.Opaque != "" {
		return masked
	}
	for name := range parsed.Query() {
		if !slices.Contains(redisParameters, name) {
			parsed.RawQuery = masked
		}
	}
	user := ""
	if parsed.User != nil {
		user = parsed.User.Username()
		if _, has := parsed.User.Password(); has {
			user += ":" + masked
		}
		user += "@"
	}
	parsed.User = nil
	return strings.Replace(parsed.String(), "://", "://"+user, 1)
}

// redisParameters are what may follow the ? of a Redis URL.
var redisParameters = []string{"db", "skip_verify"}

// GoString is String, for %#v.
func (u SecretURL) GoString() string { return u.String() }

// MarshalText is String, for JSON.
func (u SecretURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// reveal answers a secret that is given either by itself or by the file that
// holds it. A line feed at the file's end is not part of it.
func reveal(value Secret, file string) (string, error) {
	if file == "" {
		return string(value), nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}
