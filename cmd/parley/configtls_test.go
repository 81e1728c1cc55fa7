package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newCertificate writes a certificate that vouches for itself, and answers its
// files. They replace those of an earlier one in the same folder.
func newCertificate(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// handshake answers the names in the certificates that two ends showed.
func handshake(t *testing.T, server, client *tls.Config) (serverName, clientName string, err error) {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	shown := make(chan string, 1)
	go func() {
		defer close(shown)
		in, err := listener.Accept()
		if err != nil {
			return
		}
		defer in.Close()
		if _, err := in.Write([]byte("x")); err == nil { // completes the handshake
			shown <- in.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
		}
	}()
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: client}
	out, err := dialer.DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		<-shown
		return "", "", err
	}
	defer out.Close()
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		return "", "", err
	}
	return out.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName, <-shown, nil
}

// Both ends show the certificates on disk, also when these are replaced while
// the node runs; a half replaced pair changes nothing.
func TestCertificatesRotate(t *testing.T) {
	serverDir, clientDir := t.TempDir(), t.TempDir()
	cert, key := newCertificate(t, serverDir, "gateway-1")
	clientCert, clientKey := newCertificate(t, clientDir, "client-1")
	server, err := ServerTLS{Cert: cert, Key: key}.config()
	if err != nil {
		t.Fatal(err)
	}
	server.ClientAuth = tls.RequireAnyClientCert
	connect := func(name string) (string, string, error) {
		client, err := ClientTLS{CA: cert, Cert: clientCert, Key: clientKey, ServerName: name}.config()
		if err != nil {
			t.Fatal(err)
		}
		return handshake(t, server, client)
	}
	if s, c, err := connect("gateway-1"); err != nil || s != "gateway-1" || c != "client-1" {
		t.Errorf("got %s, %s, %v", s, c, err)
	}
	if _, _, err := connect("gateway-9"); err == nil || !strings.Contains(err.Error(), "gateway-9") {
		t.Errorf("a server of another name: got %v", err)
	}
	newCertificate(t, serverDir, "gateway-2.example")
	if s, _, err := connect("gateway-2.example"); err != nil || s != "gateway-2.example" {
		t.Errorf("after the rotation: got %s, %v", s, err)
	}
	whole, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	client, err := ClientTLS{CA: cert, Cert: clientCert, Key: clientKey, ServerName: "gateway-2.example"}.config()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cert, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	newCertificate(t, clientDir, "client-2-with-a-longer-name")
	if s, c, err := handshake(t, server, client); err != nil || s != "gateway-2.example" || c != "client-2-with-a-longer-name" {
		t.Errorf("half way through a rotation: got %s, %s, %v", s, c, err)
	}
}

// Files that cannot be used are found out before anything starts.
func TestUnusableFiles(t *testing.T) {
	cert, key := newCertificate(t, t.TempDir(), "a")
	_, other := newCertificate(t, t.TempDir(), "b")
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--tls.cert", cert, "--tls.key", key}, ""},
		{[]string{"--redis.url", "rediss://h", "--redis.tls.ca", cert, "--redis.tls.server_name", "h"}, ""},
		{[]string{"--tls.cert", cert, "--tls.key", other}, "--tls.cert: \"" + cert + "\" cannot be used with tls.key: read certificate: tls: private key does not match public key"},
		{[]string{"--tls.cert", cert}, "--tls.cert: tls.key: is missing: want the private key of tls.cert"},
		{[]string{"--kafka.tls.ca", key}, "--kafka.tls.ca: \"" + key + "\" cannot be used: read authorities: no certificate in " + key},
		{[]string{"--redis.url", "redis://h", "--redis.password_file", empty}, "--redis.password_file: \"" + empty + "\" cannot be used: the file is empty"},
		{[]string{"--redis.url", "redis://h", "--redis.password_file", cert, "--redis.password", "p"}, "--redis.password_file: \"" + cert + "\" is not allowed beside redis.password: want one of them"},
		{[]string{"--redis.password", "p"}, "redis.url: is missing: want it, redis.cluster or redis.sentinel.master, since other keys of redis are set"},
		{[]string{"--redis.sentinel.master", "m"}, "redis.sentinel.addresses: is missing: want the address of one sentinel or more"},
		{[]string{"--redis.url", "redis://u:hunter2@h?db=1&dial_timeout=1s"}, `--redis.url: "redis://u:***@h?***" has the parameter "dial_timeout": want db or skip_verify, or none`},
		{[]string{"--kafka.sasl.mechanism", "OAUTHBEARER", "--kafka.sasl.user", "u"}, "kafka.sasl.token: is missing: want it or kafka.sasl.token_file\n--kafka.sasl.user: \"u\" is not allowed: OAUTHBEARER does not use it"},
		{[]string{"--kafka.sasl.mechanism", "SCRAM-SHA-512", "--kafka.sasl.token", "hunter2"}, "kafka.sasl.user: is missing: SCRAM-SHA-512 needs it\nkafka.sasl.password: is missing: want it or kafka.sasl.password_file\n--kafka.sasl.token: \"***\" is not allowed: SCRAM-SHA-512 does not use it"},
		{[]string{"--kafka.sasl.user", "u"}, "kafka.sasl.mechanism: is missing: want PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"},
	} {
		_, err := loadConfig("serve", c.args, nil, io.Discard)
		says := ""
		if err != nil {
			says = err.Error()
		}
		if says != c.says {
			t.Errorf("%v:\ngot  %s\nwant %s", c.args, says, c.says)
		}
	}
}
