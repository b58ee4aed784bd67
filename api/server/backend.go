// Package server is a log's edge to the network: the account API (Connect,
// gRPC, gRPC-Web, JSON) and the public files of C2SP tlog-tiles, in one
// http.Handler over a small Backend. It decides nothing about accounts and
// looks into no answer: it bounds, names and carries bytes.
package server

import (
	"context"
	"errors"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/name"
)

// ErrNotFound says that the log has no such tile or entries. The caller gets a
// 404 that no cache keeps, since they may come to be.
var ErrNotFound = errors.New("not found")

// Backend is the log behind the edge. Its methods are called from many
// goroutines at once; slices that go in or out are never changed afterwards.
// An error that a comment does not name is the log's own fault: it is written
// to the server's log, and the caller learns only that there was one.
type Backend interface {
	// Submit logs 1 to 1000 encoded events, of any length and content, and
	// waits until they are published, with answer.WaitDurable until they are
	// promised, or until ctx ends. It returns one outcome for
	// each, in order. An outcome's Err is told to the caller if it is an
	// answer.Unavailable, and is a fault otherwise.
	Submit(ctx context.Context, events [][]byte, want answer.Want) []answer.Outcome

	// Admit begins the submission of 1 to 1000 events of a stream. It may be
	// called while earlier batches of the stream join and wait.
	Admit(events [][]byte) Batch

	// Lookup answers a canonical Request with a canonical Answer (protocol
	// section 5). It returns answer.ErrRequest for a request that breaks its
	// form, answer.ErrBehind when the client has seen more than is published;
	// both texts are told to the caller.
	Lookup(ctx context.Context, request []byte) ([]byte, error)

	// Info is told to everyone.
	Info() Info

	// Checkpoint is the newest published signed note; nil before the first.
	Checkpoint() []byte

	// Tile is exactly width hashes of 32 bytes: the first ones of hash tile n
	// at a level from 0 to 7, n < 2^55, width 1..256. A width that the tile
	// outgrew is served as before. ErrNotFound if the tree does not have them
	// all.
	Tile(ctx context.Context, level int, n uint64, width int) ([]byte, error)

	// Entries is exactly the leaves from position n·256 on, width of them, each
	// behind its u16 length; bounds and error as for Tile.
	Entries(ctx context.Context, n uint64, width int) ([]byte, error)
}

// Batch is events of a stream on their way into the log.
type Batch interface {
	// Join lets the events into the log behind those of all batches that joined
	// before; it is called in the order of the stream. It waits for room while
	// the log is full, until ctx ends.
	Join(ctx context.Context)

	// Outcomes waits until the events are published, or until ctx ends. It
	// returns one outcome for each, in order.
	Outcomes(ctx context.Context) []answer.Outcome
}

// Settled is a Batch of a backend that keeps nobody waiting.
type Settled []answer.Outcome

func (Settled) Join(context.Context) {}

func (s Settled) Outcomes(context.Context) []answer.Outcome { return s }

// Info says which log this is and how it runs.
type Info struct {
	Origin        name.Origin
	LogKey        string        // C2SP verifier key of the log key
	Genesis       []byte        // leaf 0
	Size          uint64        // leaves under the newest published checkpoint
	Epoch         uint64        // number of the newest published epoch
	EpochInterval time.Duration // longest that an event waits for its epoch
	Heartbeat     time.Duration // an epoch is published at least this often
	MaxDevices    int           // that an account may have beside its primary
	Version       string        // of the server
	ReadOnly      string        // why the log signs nothing, in words for everybody; empty while it may
}
