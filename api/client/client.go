// Package client carries bytes to and from a log's network edge. It knows
// nothing of trust: what it returns may be forged, stale or nonsense of the
// right length, and package verifier or the tree's root tells.
//
// A Client is a verifier.Source.
package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"connectrpc.com/connect"

	"github.com/musterlog/muster/api/credential"
	musterv1 "github.com/musterlog/muster/api/v1"
	"github.com/musterlog/muster/api/v1/musterv1connect"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
)

// Config says where the log is. Redirects are never followed. Streams have no
// time-out; they go over a copy of an *http.Transport, or over a transport of
// another kind as it is, which then has to speak HTTP/2.
type Config struct {
	URL       string       // base URL, http or https, such as http://127.0.0.1:8650
	HTTP      *http.Client // nil: one with a time-out of two minutes
	UserAgent string       // empty: "muster"

	// Token is shown to the log with every request, if it is one. Only https and
	// loopback URLs may have one.
	Token credential.Token
}

// Client talks to one log. Its methods may be called from any goroutine.
type Client struct {
	base    string // without a slash at the end
	http    *http.Client
	account musterv1connect.MusterServiceClient
}

// New makes a client; it connects to nothing yet.
func New(cfg Config) (*Client, error) {
	base, err := parseBase(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("log URL %q: %w, such as http://127.0.0.1:8650", cfg.URL, err)
	}
	if !cfg.Token.IsZero() && !private(base) {
		return nil, fmt.Errorf("log URL %q: a token goes over https, or to this machine itself: anybody on the way could read it", cfg.URL)
	}
	own := http.Client{Timeout: Timeout}
	if cfg.HTTP != nil {
		own = *cfg.HTTP
	}
	own.CheckRedirect = refuseRedirect
	own.Transport = &transport{next: own.Transport, userAgent: cfg.UserAgent, token: cfg.Token}
	c := &Client{base: base, http: &own}
	c.account = c.service(c.http)
	return c, nil
}

func (c *Client) service(over *http.Client) musterv1connect.MusterServiceClient {
	return musterv1connect.NewMusterServiceClient(over, c.base, connect.WithReadMaxBytes(musterv1.MaxResponse))
}

// parseBase checks a base URL, and gives it without a slash at its end.
func parseBase(base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil ||
		u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", errors.New("want a base URL")
	}
	return strings.TrimRight(base, "/"), nil
}

// private says whether nobody else can read what is sent to a base URL.
func private(base string) bool {
	u, err := url.Parse(base)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// transport names the caller, and marks the errors that mean that no answer
// came at all.
type transport struct {
	next      http.RoundTripper // nil: http.DefaultTransport
	userAgent string            // empty: "muster"
	token     credential.Token
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context()) // a RoundTripper must leave its request alone
	r.Header.Set("User-Agent", cmp.Or(t.userAgent, "muster"))
	if !t.token.IsZero() {
		r.Header.Set("Authorization", "Bearer "+t.token.Reveal())
	}
	next := t.next
	if next == nil {
		next = http.DefaultTransport
	}
	response, err := next.RoundTrip(r)
	if err != nil {
		return nil, &unreachableError{err}
	}
	return response, nil
}

// Lookup answers a canonical Request with the bytes of an Answer (protocol
// section 5), at most 32 MiB; they are to be verified.
func (c *Client) Lookup(ctx context.Context, request []byte) ([]byte, error) {
	r, err := c.account.Lookup(ctx, &musterv1.LookupRequest{Request: request})
	if err != nil {
		return nil, c.explain("looking up", err)
	}
	return r.GetAnswer(), nil
}

// Submit sends 1 to 1000 encoded events and waits until they are published, or
// with answer.WaitDurable until they are promised: verify each receipt.
// Each gets an outcome, in order. An error says nothing about what became of
// the events: sending them again is safe.
func (c *Client) Submit(ctx context.Context, events [][]byte, want answer.Want) ([]answer.Outcome, error) {
	if len(events) == 0 || len(events) > musterv1.MaxEvents {
		return nil, fmt.Errorf("submitting %d events: want 1 to %d at once", len(events), musterv1.MaxEvents)
	}
	request := &musterv1.SubmitRequest{Events: events, Receipts: want.Receipt}
	if want.Wait == answer.WaitDurable {
		request.Wait = musterv1.Wait_WAIT_DURABLE
	}
	r, err := c.account.Submit(ctx, request)
	if err != nil {
		return nil, c.explain("submitting", err)
	}
	if len(r.GetResults()) != len(events) {
		return nil, fmt.Errorf("submitting: the log at %s gave %d results for %d events", c.base, len(r.GetResults()), len(events))
	}
	outcomes := make([]answer.Outcome, len(events))
	for i, result := range r.GetResults() {
		outcomes[i], err = outcome(result)
		if err == nil && outcomes[i].Promised && want.Wait != answer.WaitDurable {
			err = errors.New("only a promise, where a logged event was asked for")
		}
		if err != nil {
			return nil, fmt.Errorf("submitting: the log at %s, event %d of %d: %w", c.base, i+1, len(events), err)
		}
	}
	return outcomes, nil
}

func outcome(r *musterv1.SubmitResult) (o answer.Outcome, err error) {
	switch result := r.GetResult().(type) {
	case *musterv1.SubmitResult_Accepted:
		a := result.Accepted
		if len(a.GetEventId()) != len(name.EventID{}) {
			return o, fmt.Errorf("event_id of %d bytes, want %d", len(a.GetEventId()), len(name.EventID{}))
		}
		o.Promised = a.Position == nil
		o.Seq, o.Position, o.Event, o.Receipt = a.GetSeq(), a.GetPosition(), name.EventID(a.GetEventId()), a.GetReceipt()
	case *musterv1.SubmitResult_Refused:
		o.Refused, err = refused(result.Refused)
	case *musterv1.SubmitResult_Unavailable:
		o.Err = answer.Unavailable(quote(result.Unavailable.GetMessage()))
	default:
		return o, errors.New("a result without content: this client may be older than the log")
	}
	return o, err
}

func refused(f *musterv1.Refused) (*event.Error, error) {
	if f.GetRole() > uint32(event.Subject) {
		return nil, fmt.Errorf("role %d, want 0 or 1", f.GetRole())
	}
	return &event.Error{
		Rule:   event.Rule(quote(f.GetRule())),
		Role:   event.Role(f.GetRole()),
		Detail: quote(f.GetMessage()),
		Head:   f.GetHead(),
	}, nil
}

// Info is what the log says of itself, unverified, and fit to print.
func (c *Client) Info(ctx context.Context) (*musterv1.InfoResponse, error) {
	r, err := c.account.Info(ctx, &musterv1.InfoRequest{})
	if err != nil {
		return nil, c.explain("asking for the log's information", err)
	}
	r.Origin, r.ServerVersion, r.ReadOnly = quote(r.GetOrigin()), quote(r.GetServerVersion()), quote(r.GetReadOnly())
	return r, nil
}
