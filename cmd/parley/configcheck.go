package main

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

// check answers what a configuration says that is not allowed. from names, by
// key, where it was set; it may be nil. The rules are in configrules.go.
func (c *Config) check(from map[string]string) problems {
	k := &checker{config: c, from: from}
	k.node()
	k.kafka()
	k.redis()
	for _, name := range c.serviceNames() {
		k.service(name, c.Services[name])
	}
	k.subscriptions()
	k.auth()
	k.sessions()
	k.streams()
	k.limits()
	k.worker()
	k.web()
	k.log()
	return k.problems
}

// checker holds what rules have found so far.
type checker struct {
	config   *Config
	from     map[string]string
	problems problems
}

// bad reports that a key's value breaks a rule.
func (k *checker) bad(key string, value any, format string, args ...any) {
	k.problems.add(k.from[key], key, "%s %s", quoted(fmt.Sprint(value)), fmt.Sprintf(format, args...))
}

// beside reports that a key's value does not go with another's. Where the first
// is a default, the mistake is where the other was set.
func (k *checker) beside(key, other string, value any, format string, args ...any) {
	from := cmp.Or(k.from[key], k.from[other])
	k.problems.add(from, key, "%s is not allowed: want %s", quoted(fmt.Sprint(value)), fmt.Sprintf(format, args...))
}

// missing reports that a key must be set.
func (k *checker) missing(key, format string, args ...any) {
	k.problems.add(k.from[key], key, "is missing: %s", fmt.Sprintf(format, args...))
}

// between wants a value in a range, ends included.
func between[T cmp.Ordered](k *checker, key string, value, least, most T) {
	if value < least || value > most {
		k.bad(key, value, "is not allowed: want %v to %v", least, most)
	}
}

// oneOf wants one of a few words.
func (k *checker) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		k.bad(key, value, "is not allowed: want %s", either(allowed))
	}
}

// address wants host:port. Where something listens the host may be left out,
// and port 0 lets the system choose.
func (k *checker) address(key, value string, listens bool) {
	host, port, err := net.SplitHostPort(value)
	n, portErr := strconv.ParseUint(port, 10, 16)
	fits := err == nil && portErr == nil && isHost(host)
	if !listens && (n == 0 || host == "") {
		fits = false
	}
	switch {
	case fits:
	case listens:
		k.bad(key, value, "is not an address: want host:port or :port, with port 0 to 65535")
	default:
		k.bad(key, value, "is not an address: want host:port, with port 1 to 65535")
	}
}

// isHost answers whether a text may be a host's name or address, or "".
func isHost(host string) bool {
	return !strings.ContainsFunc(host, func(r rune) bool { return r > '~' || !strings.ContainsRune(nameRunes+":%", r) })
}

// origin wants what a browser sends as Origin.
func (k *checker) origin(key, value string) {
	u, err := url.Parse(value)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || !isHost(u.Hostname()) ||
		value != u.Scheme+"://"+strings.ToLower(u.Host) {
		shown := value
		if strings.Contains(value, "@") {
			shown = SecretURL(value).String() // it may name a password
		}
		k.bad(key, shown, "is not an origin: want one such as https://example.com or http://localhost:3000")
	}
}

// forward wants the URL of an HTTP service, or "".
func (k *checker) forward(key, value string) {
	if value == "" {
		return
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !isHost(u.Hostname()) || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		shown := value
		if strings.Contains(value, "@") {
			shown = SecretURL(value).String() // it may name a password
		}
		k.bad(key, shown, "is not where an HTTP service is: want a URL such as http://localhost:3000/api")
	}
}

// Names of nodes and services are plain, since they go into topics, keys,
// headers and paths.
const (
	nameRunes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	maxName   = 64
)

// name wants a plain name.
func (k *checker) name(key, value string) {
	if !isName(value, maxName) {
		k.bad(key, value, "is not a name: want 1 to %d of a-z, A-Z, 0-9, '.', '_' and '-'", maxName)
	}
}

// topic wants what Kafka takes as a topic's name.
func (k *checker) topic(key, value string) {
	const maxTopic = 249
	if !isName(value, maxTopic) || value == "." || value == ".." {
		k.bad(key, value, "is not a topic: want 1 to %d of a-z, A-Z, 0-9, '.', '_' and '-'", maxTopic)
	}
}

func isName(text string, most int) bool {
	return text != "" && len(text) <= most && !strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune(nameRunes, r) })
}

// oneSecret wants a secret given by itself or by a file, at most in one way;
// needed: in just one.
func (k *checker) oneSecret(key string, value Secret, file string, needed bool) {
	switch fileKey := key + "_file"; {
	case value != "" && file != "":
		k.bad(fileKey, file, "is not allowed beside %s: want one of them", key)
	case value == "" && file == "" && needed:
		k.missing(key, "want it or %s", fileKey)
	case file != "":
		if secret, err := reveal("", file); err != nil {
			k.bad(fileKey, file, "cannot be used: %v", err)
		} else if secret == "" {
			k.bad(fileKey, file, "cannot be used: the file is empty")
		}
	}
}

// readable wants a file that can be read, or "".
func (k *checker) readable(key, file string) bool {
	if file == "" {
		return true
	}
	_, err := os.ReadFile(file)
	if err != nil {
		k.bad(key, file, "cannot be used: %v", err)
	}
	return err == nil
}

// pair wants the files of a certificate and of its key, both or neither.
func (k *checker) pair(section, cert, key string) {
	certKey, keyKey := section+".cert", section+".key"
	switch {
	case cert == "" && key == "":
	case cert == "":
		k.problems.add(k.from[keyKey], certKey, "is missing: want the certificate of %s", keyKey)
	case key == "":
		k.problems.add(k.from[certKey], keyKey, "is missing: want the private key of %s", certKey)
	case k.readable(certKey, cert) && k.readable(keyKey, key):
		if _, err := (&certificate{certFile: cert, keyFile: key}).current(); err != nil {
			k.bad(certKey, cert, "cannot be used with %s: %v", keyKey, err)
		}
	}
}
