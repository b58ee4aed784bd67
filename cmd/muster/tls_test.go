package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/api/credential"
)

// authority signs certificates for a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	_, a.cert, a.key = a.sign("authority", 1)
	return a
}

// sign makes a certificate; an authority's first is its own.
func (a *authority) sign(name string, serial int64) (der []byte, cert *x509.Certificate, key *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		parent, signer = template, key
	}
	if der, err = x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer); err != nil {
		a.t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		a.t.Fatal(err)
	}
	return der, cert, key
}

// write signs a certificate into the files of a server, each replaced at once
// as renewals do.
func (a *authority) write(dir string, serial int64) (cert, key string) {
	a.t.Helper()
	der, _, private := a.sign("log", serial)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "tls.cert"), filepath.Join(dir, "tls.key")
	for path, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		a.writePEM(path, b)
	}
	return cert, key
}

func (a *authority) writePEM(path string, b *pem.Block) {
	a.t.Helper()
	if err := os.WriteFile(path+".new", pem.EncodeToMemory(b), 0o600); err != nil {
		a.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		a.t.Fatal(err)
	}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// clientConfig trusts the authority, and shows a certificate of another one if
// there is one.
func (a *authority) clientConfig(by *authority) *tls.Config {
	c := &tls.Config{RootCAs: a.pool()}
	if by != nil {
		der, _, key := by.sign("client", 9)
		c.Certificates = []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	}
	return c
}

func tlsClient(t *testing.T, url string, config *tls.Config, token credential.Token) *client.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := client.New(client.Config{URL: url, HTTP: &http.Client{Transport: transport}, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// aLog is the folder of a log with a token for operators.
func aLog(t *testing.T) (dir string, token credential.Token) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "log")
	mustMuster(t, "init", "--dir", dir, "--origin", "example.org/log1")
	out := mustMuster(t, "token", "add", "--dir", dir, "--scope", "operator").out
	token, err := credential.ParseToken(strings.TrimSpace(out))
	if err != nil {
		t.Fatal(err)
	}
	return dir, token
}

// On an address that others reach, with a certificate that is renewed while the
// server runs.
func TestServeTLS(t *testing.T) {
	dir, token := aLog(t)
	a := newAuthority(t)
	cert, key := a.write(t.TempDir(), 100)
	p := mustServe(t, dir, "--listen", "0.0.0.0:0", "--tls-cert", cert, "--tls-key", key)
	_, port, _ := strings.Cut(strings.TrimPrefix(p.url, "https://["), "]:")
	if port == "" || !strings.HasPrefix(p.url, "https://") {
		t.Fatalf("it serves on %s", p.url)
	}
	url := "https://127.0.0.1:" + port
	c := tlsClient(t, url, a.clientConfig(nil), token)
	if _, err := c.Info(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := c.Stream(t.Context()) // HTTP/2
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Send([][]byte{{1}}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Receive(); err != nil || len(got.Refused) != 1 {
		t.Errorf("a stream over TLS: %+v, %v", got, err)
	}
	if _, err := tlsClient(t, url, a.clientConfig(nil), credential.Token{}).Lookup(t.Context(), nil); err == nil {
		t.Error("a lookup without a token was answered")
	}
	if _, err := tlsClient(t, url, &tls.Config{RootCAs: newAuthority(t).pool()}, token).Info(t.Context()); err == nil {
		t.Error("a client trusts a certificate of somebody else's authority: this test sees no TLS")
	}

	serial := func() int64 {
		conn, err := tls.Dial("tcp", "127.0.0.1:"+port, a.clientConfig(nil))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 100 {
		t.Errorf("certificate %d, want 100", got)
	}
	a.write(filepath.Dir(cert), 101)
	if got := serial(); got != 101 {
		t.Errorf("after the renewal certificate %d, want 101", got)
	}
	for what, spoil := range map[string]func() error{
		"a certificate that is none": func() error { return os.WriteFile(cert, []byte("x"), 0o600) },
		"no certificate":             func() error { return os.Remove(cert) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if got := serial(); got != 101 {
			t.Errorf("%s: certificate %d, want the last good one", what, got)
		}
	}
	a.write(filepath.Dir(cert), 102)
	if got := serial(); got != 102 {
		t.Errorf("after the repair certificate %d, want 102", got)
	}
}

// With --tls-client-ca a token alone is not enough.
func TestServeClientCertificates(t *testing.T) {
	dir, token := aLog(t)
	a, clients := newAuthority(t), newAuthority(t)
	certs := t.TempDir()
	cert, key := a.write(certs, 100)
	ca := filepath.Join(certs, "clients.pem")
	clients.writePEM(ca, &pem.Block{Type: "CERTIFICATE", Bytes: clients.cert.Raw})
	p := mustServe(t, dir, "--tls-cert", cert, "--tls-key", key, "--tls-client-ca", ca)
	for what, c := range map[string]struct {
		config *tls.Config
		want   bool
	}{
		"one of the authority's":     {a.clientConfig(clients), true},
		"none":                       {a.clientConfig(nil), false},
		"one of another authority's": {a.clientConfig(newAuthority(t)), false},
	} {
		if _, err := tlsClient(t, p.url, c.config, token).Info(t.Context()); (err == nil) != c.want {
			t.Errorf("a client with %s: %v", what, err)
		}
	}
	until(t, "net/http tells of the refused ones in the server's words", func(context.Context) bool {
		return regexp.MustCompile(`(?m)^muster: time=\S+ level=INFO msg="http: TLS handshake error`).MatchString(p.stderr())
	})
}

// The command itself, with the system's authorities.
func TestCommandOverTLS(t *testing.T) {
	dir, token := aLog(t)
	a := newAuthority(t)
	certs := t.TempDir()
	cert, key := a.write(certs, 100)
	ca, file := filepath.Join(certs, "ca.pem"), filepath.Join(certs, "token")
	a.writePEM(ca, &pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
	if err := os.WriteFile(file, []byte(token.Reveal()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := mustServe(t, dir, "--tls-cert", cert, "--tls-key", key)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, builtMuster, "register", "alice", "--log", p.url, "--policy", filepath.Join(dir, "policy"), "--state", filepath.Join(certs, "state"), "--token", file)
	c.Env = append(os.Environ(), "SSL_CERT_FILE="+ca)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// What serve says when it refuses, and that it refuses before it opens a port.
func TestServeRefuses(t *testing.T) {
	open := filepath.Join(t.TempDir(), "log")
	mustMuster(t, "init", "--dir", open, "--origin", "example.org/log1")
	closed, _ := aLog(t)
	cert, key := newAuthority(t).write(t.TempDir(), 1)
	loose := filepath.Join(t.TempDir(), "loose")
	data, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(loose, data, 0o604); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{exitUsage, "--tls-terminated", []string{"--dir", closed, "--listen", "0.0.0.0:0"}},
		{exitFailed, "muster token add --dir", []string{"--dir", open, "--listen", "0.0.0.0:0", "--tls-cert", cert, "--tls-key", key}},
		{exitFailed, "muster token add --dir", []string{"--dir", open, "--listen", "0.0.0.0:0", "--tls-terminated"}},
		{exitFailed, "muster token add --dir", []string{"--dir", open, "--listen", "127.0.0.1:0", "--tls-terminated"}},
		{exitFailed, "no such file", []string{"--dir", closed, "--listen", "127.0.0.1:0", "--tls-cert", cert + "x", "--tls-key", key}},
		{exitFailed, "TLS: ", []string{"--dir", closed, "--listen", "127.0.0.1:0", "--tls-cert", key, "--tls-key", key}},
		{exitFailed, "chmod 600", []string{"--dir", closed, "--listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", loose}},
		{exitFailed, "no PEM certificate", []string{"--dir", closed, "--listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key, "--tls-client-ca", key}},
	} {
		if got := muster(t, append([]string{"serve"}, c.args...)...); got.code != c.code || !strings.Contains(got.err, c.says) || strings.Contains(got.err, "serving") {
			t.Errorf("serve %v: code %d, want %d and %q:\n%s", c.args, got.code, c.code, c.says, got.err)
		}
	}
	p := mustServe(t, closed, "--listen", "0.0.0.0:0", "--tls-terminated")
	if !strings.HasPrefix(p.url, "http://") {
		t.Errorf("behind a proxy it serves on %s", p.url)
	}
}
