package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	pathpkg "path"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/musterlog/muster/api/credential"
	musterv1 "github.com/musterlog/muster/api/v1"
	"github.com/musterlog/muster/api/v1/musterv1connect"
)

// Config is what the edge is made of.
type Config struct {
	Backend Backend      // required
	Logger  *slog.Logger // faults and panics; nil: slog.Default()

	Metrics Metrics // nil: nobody counts

	// Credentials says who may do what; nil: everybody may do everything.
	Credentials *credential.Set

	// RestrictEntries gives the leaves to credentials of scope Audit and more; who
	// was shown an account's next index would see there when it is used. Hash tiles
	// and checkpoints stay public: neither shows an index.
	RestrictEntries bool
}

// handler is the whole edge. It routes by hand: http.ServeMux would redirect
// and clean paths, and each file here has one spelling and no other.
type handler struct {
	backend    Backend
	logger     *slog.Logger
	metrics    Metrics
	access     access
	requests   *room // for what is answered at once
	bodies     *room // of calls
	restricted bool  // entries are for auditors

	account http.Handler
	routes  map[string]route // by a path's first segment
}

// route serves all paths below one segment.
type route func(w http.ResponseWriter, r *http.Request, path string)

// New makes the handler of everything that a log serves to the public.
func New(cfg Config) (http.Handler, error) {
	return newHandler(cfg, defaultTimes, defaultShares)
}

func newHandler(cfg Config, times streamTimes, shares shares) (http.Handler, error) {
	if cfg.Backend == nil {
		return nil, errors.New("a server needs a backend")
	}
	if cfg.Metrics == nil {
		cfg.Metrics = noMetrics{}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	h := &handler{backend: cfg.Backend, logger: cfg.Logger, metrics: cfg.Metrics, access: newAccess(cfg), requests: newRoom(maxRequests), bodies: newRoom(maxCallBytes), restricted: cfg.RestrictEntries}
	h.requests.first = true
	prefix, account := newService(cfg, times, shares)
	h.account = account
	// All that the public may reach, each with its rows in the authorisation
	// matrix (matrix_test.go).
	h.routes = map[string]route{
		strings.Trim(prefix, "/"): h.serveAccount,
		"checkpoint":              h.serveFile,
		"tile":                    h.serveFile,
	}
	return h, nil
}

// ServeHTTP answers one request. A panic costs that request alone; one in a
// goroutine that the backend started ends the process, as it should.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer h.recover(w, r)

	// Nothing may be kept by a cache unless the code below says so: an error
	// that a CDN remembers for a day is an outage of a day.
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")

	give := h.requests.take(r.RemoteAddr, 1)
	if give == nil {
		// Without a body, which could wait here, uncounted, for a client that
		// lets nothing in.
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer give()

	// The path as it was sent: %30 is not another spelling of 0.
	path := r.URL.EscapedPath()
	segment, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if serve, ok := h.routes[segment]; ok {
		serve(w, r, path)
	} else {
		fail(w, http.StatusNotFound, "not found")
	}
	discard(r)
	if r.ProtoMajor == 2 {
		// Else a small answer is written after the request has given its place
		// back, and there may be 32 on each connection whose client lets none in.
		http.NewResponseController(w).Flush()
	}
}

// discard lets go of a body that nobody will read, of which HTTP/2 takes 1 MiB
// in before anybody asks for it: a client that does not let its answer in would
// keep it here. HTTP/1.1 leaves it where it is, and waits for it if it is closed.
func discard(r *http.Request) {
	if r.ProtoMajor == 2 {
		r.Body.Close()
	}
}

// serveAccount is the account API, for whom its caller's credential lets in.
func (h *handler) serveAccount(w http.ResponseWriter, r *http.Request, path string) {
	r, ok := h.access.allow(w, r, path)
	if !ok {
		return
	}
	c := callerOf(r.Context())
	if path == musterv1connect.MusterServiceSubmitStreamProcedure {
		r = paced(w, r)
	} else {
		most := int64(musterv1.MaxRequest)
		if needs[path] == credential.None {
			most = 0 // who is nobody says nothing; all of them share one room
		}
		give := h.bodies.take(c.id, bodyBytes(r, most)+callOverhead)
		if give == nil {
			h.metrics.Answered(pathpkg.Base(path), connect.CodeResourceExhausted.String(), 0)
			w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
			h.access.refuse(w, r, connect.NewError(connect.CodeResourceExhausted, errTooMuch))
			return
		}
		defer give()
		r.Body = http.MaxBytesReader(w, r.Body, most+maxBodySlack)
	}
	defer func() {
		if c.answered != nil {
			c.answered()
		}
	}()
	h.account.ServeHTTP(w, r)
}

// bodyBytes is how long a body may be: what it says, or the most.
func bodyBytes(r *http.Request, most int64) int64 {
	if r.ContentLength >= 0 && r.ContentLength < most {
		return r.ContentLength
	}
	return most
}

func (h *handler) recover(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler { // net/http's own way to cut a response
		panic(p)
	}
	h.logger.Error("panic while answering", "path", r.URL.EscapedPath(), "panic", p, "stack", string(debug.Stack()))
	fail(w, http.StatusInternalServerError, "internal error")
}

// fail answers with an error that nobody keeps.
func fail(w http.ResponseWriter, status int, text string) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Del("Content-Length")
	w.WriteHeader(status)
	w.Write([]byte(text + "\n"))
}

// Server is an HTTP server with the time-outs and limits of this package. It
// speaks HTTP/1.1, and HTTP/2 also without TLS, so that gRPC works on loopback
// and behind a proxy.
func Server(handler http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	stopping, stop := context.WithCancel(context.Background())
	s := &http.Server{
		Handler:           within(handler),
		Protocols:         protocols,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      refusalTimeout, // of what does not reach the handler
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          errorLog(slog.Default()),
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.Background(), stoppingKey{}, stopping)
		},
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams,
			SendPingTimeout:      pingTimeout,
			PingTimeout:          pingTimeout / 2,
			WriteByteTimeout:     stallTimeout,
			MaxReadFrameSize:     maxFrameBytes,
		},
	}
	s.RegisterOnShutdown(stop)
	return s
}

// within gives writeTimeout to what reaches a handler, however long it works.
func within(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
		handler.ServeHTTP(w, r)
	})
}

// stoppingKey leads to a context that ends when the server begins to shut down:
// a stream would keep it from doing so for an hour.
type stoppingKey struct{}

// milliseconds is d for the wire.
func milliseconds(d time.Duration) uint64 { return uint64(max(d.Milliseconds(), 0)) }
