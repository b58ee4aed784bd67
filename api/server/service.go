package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"connectrpc.com/connect"

	musterv1 "github.com/musterlog/muster/api/v1"
	"github.com/musterlog/muster/api/v1/musterv1connect"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/event"
)

// service is the account API: it carries bytes between protobuf and the backend.
type service struct {
	backend Backend
	logger  *slog.Logger
	times   streamTimes
	streams *openStreams
	events  *turns
	lookups *turns
}

func newService(cfg Config, times streamTimes, shares shares) (string, http.Handler) {
	s := &service{backend: cfg.Backend, logger: cfg.Logger, times: times, streams: newOpenStreams(), events: newTurns(shares.events), lookups: newTurns(shares.lookups)}
	return musterv1connect.NewMusterServiceHandler(s,
		connect.WithReadMaxBytes(musterv1.MaxRequest),
		connect.WithSendMaxBytes(musterv1.MaxResponse),
		// Hashes, keys and signatures do not shrink; to try costs more than the
		// lookup, and a request that unpacks to a gigabyte is not even begun.
		connect.WithCompression("gzip", nil, nil),
		connect.WithRecover(s.recovered),
		connect.WithCodec(protoCodec{}),
		connect.WithCodec(jsonCodec{"json"}),
		connect.WithCodec(jsonCodec{"json; charset=utf-8"}),
		connect.WithInterceptors(observer{cfg.Metrics}, answers{newRoom(maxAnswerBytes)}),
	)
}

func (s *service) recovered(_ context.Context, spec connect.Spec, _ http.Header, p any) error {
	s.logger.Error("panic while answering", "procedure", spec.Procedure, "panic", p, "stack", string(debug.Stack()))
	return connect.NewError(connect.CodeInternal, answer.Fault)
}

func (s *service) Submit(ctx context.Context, r *musterv1.SubmitRequest) (*musterv1.SubmitResponse, error) {
	events := r.GetEvents()
	if err := countEvents(events); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	want := answer.Want{Receipt: r.GetReceipts()}
	switch r.GetWait() {
	case musterv1.Wait_WAIT_PUBLISHED:
	case musterv1.Wait_WAIT_DURABLE:
		want.Wait = answer.WaitDurable
	default:
		return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("wait %d: this log knows 0 (published) and 1 (durable)", r.GetWait()))
	}
	leave, err := turn(ctx, s.events, len(events))
	if err != nil {
		return nil, err
	}
	defer leave()
	allowed, withRefused := permitted(ctx, events)
	outcomes := withRefused(s.submit(ctx, allowed, want))
	if len(outcomes) != len(events) {
		return nil, s.fault("Submit", fmt.Errorf("%d outcomes for %d events", len(outcomes), len(events)))
	}
	response := &musterv1.SubmitResponse{Results: make([]*musterv1.SubmitResult, len(outcomes))}
	var last, told error
	for i := range outcomes {
		// Events that failed together failed for one reason, which is logged once.
		if err := outcomes[i].Err; err != nil && (last == nil || err.Error() != last.Error()) {
			last, told = err, s.told("Submit", err)
		}
		response.Results[i] = result(&outcomes[i], told)
	}
	return response, nil
}

// told is why an event was not logged now, for whoever sent it.
func (s *service) told(doing string, err error) error {
	if errors.As(err, new(answer.Unavailable)) {
		return err
	}
	s.logger.Error("answering", "procedure", doing, "error", err)
	return answer.Fault
}

// submit leaves the log alone when there is nothing that it may take.
func (s *service) submit(ctx context.Context, events [][]byte, want answer.Want) []answer.Outcome {
	if len(events) == 0 {
		return nil
	}
	return s.backend.Submit(ctx, events, want)
}

func countEvents(events [][]byte) error {
	if len(events) == 0 || len(events) > musterv1.MaxEvents {
		return connect.NewError(connect.CodeInvalidArgument, errEvents(len(events)))
	}
	return nil
}

// result words an outcome; told is its error's text.
func result(o *answer.Outcome, told error) *musterv1.SubmitResult {
	switch {
	case o.Refused != nil:
		return &musterv1.SubmitResult{Result: &musterv1.SubmitResult_Refused{Refused: refused(o.Refused)}}
	case o.Err != nil:
		return &musterv1.SubmitResult{Result: &musterv1.SubmitResult_Unavailable{
			Unavailable: &musterv1.Unavailable{Message: told.Error()},
		}}
	default:
		a := &musterv1.Accepted{Seq: o.Seq, EventId: o.Event[:], Receipt: o.Receipt}
		if !o.Promised {
			a.Position = &o.Position
		}
		return &musterv1.SubmitResult{Result: &musterv1.SubmitResult_Accepted{Accepted: a}}
	}
}

func refused(e *event.Error) *musterv1.Refused {
	return &musterv1.Refused{Rule: string(e.Rule), Role: uint32(e.Role), Message: e.Detail, Head: e.Head}
}

func (s *service) Lookup(ctx context.Context, r *musterv1.LookupRequest) (*musterv1.LookupResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	leave, err := turn(ctx, s.lookups, 1)
	if err != nil {
		return nil, err
	}
	defer leave()
	bytes, err := s.backend.Lookup(ctx, r.GetRequest())
	switch {
	case err == nil:
		return &musterv1.LookupResponse{Answer: bytes}, nil
	case errors.Is(err, answer.ErrRequest):
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	case errors.Is(err, answer.ErrBehind):
		return nil, connect.NewError(connect.CodeUnavailable, err)
	case ctx.Err() != nil:
		return nil, ctx.Err() // Connect knows its code
	default:
		return nil, s.fault("Lookup", err)
	}
}

func (s *service) Info(context.Context, *musterv1.InfoRequest) (*musterv1.InfoResponse, error) {
	i := s.backend.Info()
	return &musterv1.InfoResponse{
		Origin:          string(i.Origin),
		LogVkey:         i.LogKey,
		Genesis:         i.Genesis,
		Size:            i.Size,
		Epoch:           i.Epoch,
		EpochIntervalMs: milliseconds(i.EpochInterval),
		HeartbeatMs:     milliseconds(i.Heartbeat),
		MaxDevices:      uint32(i.MaxDevices),
		ServerVersion:   i.Version,
		ReadOnly:        i.ReadOnly,
	}, nil
}

// fault keeps the cause and answers without it.
func (s *service) fault(doing string, err error) error {
	s.logger.Error("answering", "procedure", doing, "error", err)
	return connect.NewError(connect.CodeInternal, answer.Fault)
}
