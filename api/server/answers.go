package server

import (
	"context"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
)

// answers bounds the memory of answers that are written to their clients: a
// client that reads slowly, or not at all, keeps its own for writeTimeout, and
// its turn was over before the first byte of them.
type answers struct{ *room }

// WrapUnary takes the room for an answer; who serves the request gives it back
// once it is written. The work is lost if there is none, but nobody can know the
// size of an answer earlier. Who sent events sends them again, and is answered
// as now.
func (a answers) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
		response, err := next(ctx, r)
		if err != nil {
			return nil, err
		}
		c := callerOf(ctx)
		c.answered = a.take(c.id, answerCopies*int64(proto.Size(response.Any().(proto.Message))))
		if c.answered == nil {
			return nil, later(unavailable("earlier answers to this token are still being read, and take all room that it has: read them, then ask again"))
		}
		return response, nil
	}
}

// A stream has one answer at a time, and few streams are open.

func (a answers) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (a answers) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}
