package server

import (
	"context"
	"path"
	"time"

	"connectrpc.com/connect"
)

// Metrics hears how requests are answered; from many goroutines at once, which
// it must not keep. It gets no account and no token.
type Metrics interface {
	// Answered: the endpoint is a method's name, or checkpoint, tile or entries;
	// the outcome is ok or the name of a Connect code, such as
	// resource_exhausted; it took this time, for a stream until it ended.
	Answered(endpoint, outcome string, took time.Duration)
}

type noMetrics struct{}

func (noMetrics) Answered(string, string, time.Duration) {}

// observer tells of the account API's calls.
type observer struct{ Metrics }

func (o observer) told(procedure string, began time.Time, err error) {
	outcome := "ok"
	if err != nil {
		outcome = connect.CodeOf(err).String()
	}
	o.Answered(path.Base(procedure), outcome, time.Since(began))
}

func (o observer) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
		began := time.Now()
		response, err := next(ctx, r)
		o.told(r.Spec().Procedure, began, err)
		return response, err
	}
}

func (o observer) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (o observer) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, c connect.StreamingHandlerConn) error {
		began := time.Now()
		err := next(ctx, c)
		o.told(c.Spec().Procedure, began, err)
		return err
	}
}
