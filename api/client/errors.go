package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"connectrpc.com/connect"
)

// ErrNotFound says that the log has no such file: it is not that long yet.
var ErrNotFound = errors.New("not found")

// unreachableError says that no answer came at all.
type unreachableError struct{ cause error }

func (e *unreachableError) Error() string { return e.cause.Error() }
func (e *unreachableError) Unwrap() error { return e.cause }

// redirectError says that the log's URL leads elsewhere. It is not followed: a
// request tells which accounts matter to somebody, and goes to nobody but the
// log that the person named.
type redirectError struct{ to string }

func (e *redirectError) Error() string {
	return fmt.Sprintf("it redirects to %s: if you trust that, give its base URL", e.to)
}

func refuseRedirect(r *http.Request, _ []*http.Request) error {
	return &redirectError{quote(r.URL.Redacted())}
}

// explain turns what Connect and net/http say into what a person can act on.
// The cause stays in the chain.
func (c *Client) explain(doing string, err error) error {
	var redirect *redirectError
	var unreachable *unreachableError
	switch {
	case errors.As(err, &redirect):
		return fmt.Errorf("%s at %s: %w", doing, c.base, redirect)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: the log at %s was not waited for any longer: %w", doing, c.base, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: no answer from the log at %s in time: %w", doing, c.base, err)
	case errors.As(err, &unreachable):
		return fmt.Errorf("cannot reach the log at %s: %w; is `muster serve` running?", c.base, unreachable)
	}
	var answered *connect.Error
	if !errors.As(err, &answered) {
		return fmt.Errorf("%s at %s: %w", doing, c.base, err)
	}
	said := &serverError{quote(answered.Message()), err}
	switch answered.Code() {
	case connect.CodeInvalidArgument:
		return fmt.Errorf("%s: the log at %s refuses the request: %w", doing, c.base, said)
	case connect.CodeUnavailable:
		return fmt.Errorf("%s: the log at %s cannot answer now: %w; try again in a few seconds", doing, c.base, said)
	case connect.CodeUnauthenticated, connect.CodePermissionDenied:
		return fmt.Errorf("%s: the log at %s does not let this client: %w", doing, c.base, said)
	case connect.CodeUnimplemented:
		return fmt.Errorf("%s: no muster log answers at %s: %w; is this the log's base URL?", doing, c.base, said)
	default:
		return fmt.Errorf("%s at %s: %w", doing, c.base, said)
	}
}

// serverError is a server's words with the error that brought them.
type serverError struct {
	words string
	cause error
}

func (e *serverError) Error() string { return e.words }
func (e *serverError) Unwrap() error { return e.cause }

// quote makes a server's words fit to print: a terminal obeys what a hostile
// log could put into them.
func quote(s string) string {
	if len(s) > maxMessage {
		s = s[:maxMessage] + "…"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '�'
		}
		return r
	}, s)
}
