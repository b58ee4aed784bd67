package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/musterlog/muster/log/store/pebble"
)

// A running server has its folder to itself. What another command wants of it
// goes through a socket in that folder, which only its owner can reach.

// serveControl answers on the socket until the function that it returns is
// called. The store's lock is held, so a socket that is there is left from a
// process that died.
func (d logDir) serveControl(s *pebble.Store) (stop func(), err error) {
	path := d.path("control")
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /backup", func(w http.ResponseWriter, r *http.Request) {
		to := r.FormValue("to")
		if !filepath.IsAbs(to) {
			http.Error(w, "want an absolute path", http.StatusBadRequest)
		} else if err := s.Backup(to); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	server := &http.Server{Handler: mux}
	done := make(chan struct{})
	go func() { server.Serve(listener); close(done) }()
	return func() {
		server.Shutdown(context.Background()) // a backup is let end before the store closes
		<-done
	}, nil
}

// errNotServed says that no server answers in a log's folder.
var errNotServed = errors.New("the log is not being served")

// askBackup lets the server that has the log's folder copy its store.
func (d logDir) askBackup(ctx context.Context, to string) error {
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", d.path("control"))
	}}}
	defer c.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://log/backup", strings.NewReader(url.Values{"to": {to}}.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := c.Do(r)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return errNotServed
	}
	if err != nil {
		return fmt.Errorf("asking the server of %s: %w", d, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("the server of %s: %s", d, bytes.TrimSpace(text))
	}
	return err
}
