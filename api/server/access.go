package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"strings"

	"connectrpc.com/connect"

	"github.com/musterlog/muster/api/credential"
	"github.com/musterlog/muster/api/v1/musterv1connect"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/event"
)

// needs is what each method of the account API asks of its caller. What is not
// in it is for nobody: a method that was added and forgotten here stays closed.
//
// The public files ask nothing, so that anybody can witness and audit; entries
// ask for Audit if the log restricts them (files.go).
var needs = map[string]credential.Scope{
	musterv1connect.MusterServiceSubmitProcedure:       credential.Write,
	musterv1connect.MusterServiceSubmitStreamProcedure: credential.Write,
	musterv1connect.MusterServiceLookupProcedure:       credential.Read,
	musterv1connect.MusterServiceInfoProcedure:         credential.None,
}

// access decides by a request's header alone, before a byte of its body is
// read: who may not look accounts up gets the same answer after the same work,
// whatever account the body names and whether the log has it.
type access struct {
	credentials *credential.Set // nil: everybody is an operator
	logger      *slog.Logger
	metrics     Metrics
	errors      *connect.ErrorWriter
}

func newAccess(cfg Config) access {
	return access{cfg.Credentials, cfg.Logger, cfg.Metrics, connect.NewErrorWriter()}
}

// caller is who sent a request.
type caller struct {
	id    string // of the credential; empty if none was asked for
	scope credential.Scope
	valid func() error // nil for as long as the credential is

	answered func() // gives the room of its answer back; nil if it has none
}

type callerKey struct{}

// callerOf is nil for who may do nothing.
func callerOf(ctx context.Context) *caller {
	c, _ := ctx.Value(callerKey{}).(*caller)
	return c
}

// allow adds the caller to the request, or answers it and returns false.
func (a *access) allow(w http.ResponseWriter, r *http.Request, procedure string) (*http.Request, bool) {
	need, known := needs[procedure]
	if !known {
		fail(w, http.StatusNotFound, "not found")
		return r, false
	}
	c, err := a.admit(r, need, path.Base(procedure))
	if err != nil {
		a.refuse(w, r, err)
		return r, false
	}
	return r.WithContext(context.WithValue(r.Context(), callerKey{}, c)), true
}

// admit identifies the caller, and counts who is refused.
func (a *access) admit(r *http.Request, need credential.Scope, endpoint string) (*caller, error) {
	c, err := a.identify(r, need)
	if err != nil {
		a.metrics.Answered(endpoint, connect.CodeOf(err).String(), 0)
	}
	return c, err
}

// What a caller without a credential learns does not tell a token that was
// revoked from one that never was.
var (
	errUnauthenticated = connect.NewError(connect.CodeUnauthenticated,
		errors.New("this needs a token that the log knows: its operator makes one with `muster token add`, and clients send it as Authorization: Bearer (muster --token FILE)"))
	errNoCredentials = connect.NewError(connect.CodeUnavailable,
		errors.New("the log cannot read its credentials; its operator finds the cause in the server's log"))
)

// identify takes a token from one Authorization header and from nowhere else:
// URLs are written into logs, and cookies are sent by whoever is tricked into it.
func (a *access) identify(r *http.Request, need credential.Scope) (*caller, error) {
	if a.credentials == nil || !a.credentials.Required() {
		return &caller{scope: credential.Operator, valid: a.stillOpen}, nil
	}
	if need == credential.None {
		return &caller{valid: func() error { return nil }}, nil
	}
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return nil, errUnauthenticated
	}
	scheme, text, _ := strings.Cut(values[0], " ")
	t, err := credential.ParseToken(text)
	if err != nil || !strings.EqualFold(scheme, "Bearer") {
		return nil, errUnauthenticated
	}
	hash := t.Hash()
	found, err := a.find(hash)
	if err != nil {
		return nil, err
	}
	if found.Scope < need {
		return nil, connect.NewError(connect.CodePermissionDenied,
			fmt.Errorf("a token of scope %s may not do this: it takes %s", found.Scope, need))
	}
	valid := func() error { _, err := a.find(hash); return err }
	return &caller{id: found.ID(), scope: found.Scope, valid: valid}, nil
}

// stillOpen ends what began while the log had no credentials once it has.
func (a *access) stillOpen() error {
	if a.credentials != nil && a.credentials.Required() {
		return errUnauthenticated
	}
	return nil
}

func (a *access) find(h credential.Hash) (credential.Credential, error) {
	found, err := a.credentials.Find(h)
	switch {
	case errors.Is(err, credential.ErrUnknown):
		return found, errUnauthenticated
	case err != nil:
		a.logger.Error("nobody is let in", "error", err)
		return found, errNoCredentials
	}
	return found, nil
}

// refuse answers in the caller's own protocol.
func (a *access) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if a.errors.IsSupported(r) {
		if connect.CodeOf(err) == connect.CodeUnauthenticated {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		a.errors.Write(w, r, err)
		return
	}
	refuseText(w, err)
}

// refuseText answers who asks for a file.
func refuseText(w http.ResponseWriter, err error) {
	status := http.StatusUnauthorized
	switch connect.CodeOf(err) {
	case connect.CodeUnauthenticated:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case connect.CodePermissionDenied:
		status = http.StatusForbidden
	case connect.CodeResourceExhausted:
		status = http.StatusTooManyRequests
	case connect.CodeUnavailable:
		status = http.StatusServiceUnavailable
	}
	text := err.Error()
	if said := (*connect.Error)(nil); errors.As(err, &said) {
		text = said.Message() // without its code
	}
	fail(w, status, text)
}

// permitted takes out the events that only an operator may send; withRefused
// puts their refusals among the outcomes of the others. The first byte of an
// event is its type (protocol section 3); a log takes no event that says
// another type there than the one it has.
func permitted(ctx context.Context, events [][]byte) (allowed [][]byte, withRefused func([]answer.Outcome) []answer.Outcome) {
	if c := callerOf(ctx); c != nil && c.scope >= credential.Operator {
		return events, func(o []answer.Outcome) []answer.Outcome { return o }
	}
	refused := make([]*event.Error, len(events))
	for i, e := range events {
		if len(e) > 0 && (event.Type(e[0]) == event.OperatorRemove || event.Type(e[0]) == event.Erase) {
			refused[i] = &event.Error{Rule: event.RuleForbidden, Detail: fmt.Sprintf("%s takes a token of scope operator", event.Type(e[0]))}
		} else {
			allowed = append(allowed, e)
		}
	}
	return allowed, func(outcomes []answer.Outcome) []answer.Outcome {
		if len(outcomes) != len(allowed) {
			return outcomes // a fault, which the caller tells
		}
		merged := make([]answer.Outcome, len(refused))
		for i, r := range refused {
			if r != nil {
				merged[i].Refused = r
			} else {
				merged[i], outcomes = outcomes[0], outcomes[1:]
			}
		}
		return merged
	}
}

// admit is for a chunk of a stream, which may be older than a revocation.
func (s *service) admit(ctx context.Context, events [][]byte) (Batch, error) {
	if err := callerOf(ctx).valid(); err != nil {
		return nil, err
	}
	allowed, withRefused := permitted(ctx, events)
	if len(allowed) == 0 {
		return Settled(withRefused(nil)), nil
	}
	if len(allowed) == len(events) {
		return s.backend.Admit(events), nil
	}
	return permittedBatch{s.backend.Admit(allowed), withRefused}, nil
}

// permittedBatch is a chunk of which some events are refused.
type permittedBatch struct {
	Batch
	withRefused func([]answer.Outcome) []answer.Outcome
}

func (b permittedBatch) Outcomes(ctx context.Context) []answer.Outcome {
	return b.withRefused(b.Batch.Outcomes(ctx))
}
