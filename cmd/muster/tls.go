package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
)

// tlsFiles is a server's certificate, as its renewal leaves it: each handshake
// takes the files as they are then. PEM; the first certificate is the server's
// own, those of authorities in between follow.
type tlsFiles struct {
	cert, key string
	clientCA  string // of the certificates that clients must show; empty: none

	mu     sync.Mutex
	seen   []os.FileInfo // of the files that config was made of
	config *tls.Config
}

// check refuses flags that do not go together.
func (f *tlsFiles) check() error {
	switch {
	case (f.cert == "") != (f.key == ""):
		return usage("--tls-cert FILE and --tls-key FILE go together")
	case f.clientCA != "" && f.cert == "":
		return usage("--tls-client-ca goes with --tls-cert and --tls-key")
	}
	return nil
}

// server is the configuration of a listener, or why there can be none.
func (f *tlsFiles) server() (*tls.Config, error) {
	if _, err := f.current(); err != nil {
		return nil, err
	}
	return &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return f.current() }}, nil
}

// current reads the files again if one was replaced or changed. A renewal that
// is half done, or went wrong, leaves the last good certificate in force.
func (f *tlsFiles) current() (*tls.Config, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, err := f.stat()
	if err == nil && f.unchanged(now) {
		return f.config, nil
	}
	var made *tls.Config
	if err == nil {
		made, err = f.load()
	}
	if err != nil && f.config != nil {
		slog.Error("the new TLS files cannot be used, the old ones stay in force", "error", err)
		f.seen = now // and are not read again before they change
		return f.config, nil
	}
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	f.config, f.seen = made, now
	return made, nil
}

func (f *tlsFiles) stat() (all []os.FileInfo, err error) {
	for _, path := range []string{f.cert, f.key, f.clientCA} {
		if path == "" {
			continue
		}
		info, err := os.Stat(path) // renewals replace links
		if err != nil {
			return nil, err
		}
		all = append(all, info)
	}
	return all, nil
}

func (f *tlsFiles) unchanged(now []os.FileInfo) bool {
	if f.config == nil || len(now) != len(f.seen) {
		return false
	}
	for i, n := range now {
		if s := f.seen[i]; !os.SameFile(n, s) || !n.ModTime().Equal(s.ModTime()) || n.Size() != s.Size() {
			return false
		}
	}
	return true
}

func (f *tlsFiles) load() (*tls.Config, error) {
	if info, err := os.Stat(f.key); err != nil {
		return nil, err
	} else if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("%s may be read by everybody (mode %04o): chmod 600 %s", f.key, info.Mode().Perm(), f.key)
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, err
	}
	// A config that stands in for the server's own has to offer what it offers.
	c := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	if f.clientCA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(f.clientCA)
	if err != nil {
		return nil, err
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !c.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no PEM certificate", f.clientCA)
	}
	return c, nil
}

// isLoopback says whether only this machine reaches an address. A name other
// than localhost may be anything tomorrow.
func isLoopback(address string) (bool, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false, errors.New("want HOST:PORT, such as 127.0.0.1:8650")
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback(), nil
}
