package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// ServerTLS is the certificate that clients are shown. With neither file set
// they speak plain HTTP, which is right behind a proxy that ends TLS.
type ServerTLS struct {
	Cert string `key:"cert" help:"certificate file (PEM, leaf first): clients use https and wss; empty: plain http and ws"`
	Key  string `key:"key" help:"the certificate's private key file (PEM)"`
}

// ClientTLS is TLS towards Kafka or Redis. It is on as soon as any key is set.
type ClientTLS struct {
	Enabled    bool   `key:"enabled" help:"use TLS; any other key of this section implies it"`
	CA         string `key:"ca" help:"file of the authorities that may vouch for the server (PEM); empty: the system's"`
	Cert       string `key:"cert" help:"certificate file to show to the server (PEM)"`
	Key        string `key:"key" help:"the certificate's private key file (PEM)"`
	ServerName string `key:"server_name" help:"name that the server's certificate must bear; empty: the address's host"`
}

// config answers the TLS to listen with, nil for none. A certificate that is
// replaced on disk is used from the next handshake on.
func (t ServerTLS) config() (*tls.Config, error) {
	if t == (ServerTLS{}) {
		return nil, nil
	}
	cert := &certificate{certFile: t.Cert, keyFile: t.Key}
	if _, err := cert.current(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert.current() },
	}, nil
}

// config answers the TLS to connect with, nil for none. A client certificate
// that is replaced on disk is used from the next handshake on; the authorities
// are read once.
func (t ClientTLS) config() (*tls.Config, error) {
	if t == (ClientTLS{}) {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CA != "" {
		pool, err := readAuthorities(t.CA)
		if err != nil {
			return nil, err
		}
		config.RootCAs = pool
	}
	if t.Cert != "" {
		cert := &certificate{certFile: t.Cert, keyFile: t.Key}
		if _, err := cert.current(); err != nil {
			return nil, err
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert.current() }
	}
	return config, nil
}

// readAuthorities reads a file of certificates.
func readAuthorities(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("read authorities: no certificate in " + file)
	}
	return pool, nil
}

// certificate is a pair of files that may be replaced while they are in use.
type certificate struct {
	certFile, keyFile string

	mu     sync.Mutex
	loaded *tls.Certificate
	stamp  [2]fileStamp // of the files that loaded was read from
}

// fileStamp tells one state of a file from the next.
type fileStamp struct {
	modified time.Time
	size     int64
}

// current answers the certificate on disk. Where the files do not belong
// together, as in the moment between their replacements, it is the one before.
func (c *certificate) current() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamp := [2]fileStamp{stampOf(c.certFile), stampOf(c.keyFile)}
	if c.loaded != nil && stamp == c.stamp {
		return c.loaded, nil
	}
	fresh, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	switch {
	case err == nil:
		c.loaded, c.stamp = &fresh, stamp
	case c.loaded == nil:
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	return c.loaded, nil
}

func stampOf(file string) (s fileStamp) {
	if info, err := os.Stat(file); err == nil {
		s = fileStamp{info.ModTime(), info.Size()}
	}
	return s
}
