package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/musterlog/muster/api/server"
)

// adminHandler is what the log's operator sees and nobody else: whether it
// lives, whether it can answer, what it counts, and, where only this machine
// reaches it, where it spends its time.
func adminHandler(m *metrics, ready func() error, profiles bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	if profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// openAdmin listens for it; without a host, on loopback.
func openAdmin(address string) (l net.Listener, profiles bool, err error) {
	if strings.HasPrefix(address, ":") {
		address = "127.0.0.1" + address
	}
	local, err := isLoopback(address)
	if err != nil {
		return nil, false, usage("--admin %s: %w", address, err)
	}
	if l, err = net.Listen("tcp", address); err != nil {
		return nil, false, fmt.Errorf("%w: choose another --admin", err)
	}
	return l, local, nil
}

// admin serves until ctx ends, also while the log drains.
func (g *globals) admin(ctx context.Context, address string, m *metrics, ready func() error) error {
	l, profiles, err := openAdmin(address)
	if err != nil {
		return err
	}
	s := server.Server(adminHandler(m, ready, profiles))
	s.WriteTimeout = adminTimeout
	context.AfterFunc(ctx, func() { s.Close() })
	go s.Serve(l)
	g.say("admin on http://%s", l.Addr())
	return nil
}

// adminTimeout is enough for a profile of a minute.
const adminTimeout = 2 * time.Minute
