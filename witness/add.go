package witness

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
)

// Answer is an HTTP response.
type Answer struct {
	Status      int
	ContentType string
	RetryAfter  time.Duration // 0: none
	Body        []byte
}

// The types of bodies. That of a size is C2SP's, and exactly this: clients
// compare it whole.
const (
	plainText = "text/plain; charset=utf-8"
	sizeText  = "text/x.tlog.size"
)

// emptyRoot is the root of a tree without leaves.
var emptyRoot = name.TreeRoot(sha256.Sum256(nil))

func refuse(status int, format string, args ...any) *Answer {
	return &Answer{Status: status, ContentType: plainText, Body: fmt.Appendf(nil, format+"\n", args...)}
}

func later(format string, args ...any) *Answer {
	a := refuse(http.StatusServiceUnavailable, format, args...)
	a.RetryAfter = retryTime
	return a
}

// AddCheckpoint answers the body of an add-checkpoint request (C2SP
// tlog-witness, main; protocol section 7.1). Once it answers 200 the record is
// on the disk.
func (w *Witness) AddCheckpoint(ctx context.Context, body []byte) *Answer {
	if len(body) > maxBody {
		return refuse(http.StatusRequestEntityTooLarge, "a body of %d bytes: want at most %d", len(body), maxBody)
	}
	r, err := parse(body)
	if err != nil {
		return refuse(http.StatusBadRequest, "reading request: %v", err)
	}
	s := w.byName[r.Origin]
	if s == nil {
		return refuse(http.StatusNotFound, "log %q is not known here: ask the witness's operator to add its key", r.Origin)
	}
	lines, err := s.signed(r)
	if err != nil {
		return refuse(http.StatusForbidden, "%v", err)
	}
	if s.waiting.Add(1) > maxWaiting {
		s.waiting.Add(-1)
		return later("too many requests wait for this log's turn: ask again")
	}
	defer s.waiting.Add(-1)
	select {
	case <-s.turn:
	case <-ctx.Done():
		return later("other requests for this log take too long: ask again")
	}
	defer func() { s.turn <- struct{}{} }()
	return w.advance(ctx, s, r, lines)
}

// signed gives the lines by keys of this log. Each of them must be valid, and
// one be there: a wrong one beside a good one means that readers who look at
// the other see another checkpoint. Keys of other logs are unknown here.
func (s *logState) signed(r *request) (lines []checkpoint.Line, err error) {
	for _, k := range s.keys {
		found := 0
		for _, l := range r.lines {
			if !k.Made(l) {
				continue
			}
			if found++; found > 1 {
				return nil, fmt.Errorf("two lines by %s %08x", k.Name, k.ID)
			}
			if _, err := k.Verify(r.text, l); err != nil {
				return nil, fmt.Errorf("the line by %s %08x: %w", k.Name, k.ID, err)
			}
			lines = append(lines, l)
		}
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("no line by a key that is known for log %q", r.Origin)
	}
	return lines, nil
}

// advance is the one step from the recorded checkpoint to the next. The caller
// has the log's turn.
func (w *Witness) advance(ctx context.Context, s *logState, r *request, lines []checkpoint.Line) *Answer {
	w.catch(s, r, lines)
	if a := s.record.extends(r); a != nil {
		return a
	}
	next := &record{Foreign: r.Foreign, text: r.text, lines: lines}
	// A clock that was set back does not make the witness say that it saw this
	// before what it said earlier; 0 is no time at all in C2SP.
	next.time = max(uint64(max(w.cfg.Now().Unix(), 1)), s.record.time)
	// Checkpoints are public: anybody can send the newest again and again. The
	// same text in the same second gets the same bytes, and costs no write.
	if s.stopped == nil && next.text == s.record.text && next.time == s.record.time {
		return &Answer{Status: http.StatusOK, ContentType: plainText, Body: checkpoint.Append(nil, w.cosign(s.record)...)}
	}
	if a := w.ask(ctx, s, r, lines); a != nil {
		return a
	}
	if w.stall != nil {
		w.stall()
	}
	if now := w.cfg.Now(); next.time > uint64(max(now.Unix(), 0))+maxAhead {
		w.cfg.Logger.Error("CLOCK: this witness has stated a time that is ahead of its clock, and states no earlier one: clients refuse its cosignatures until then. If the clock is right now, run a new witness with a new key in another folder",
			"origin", r.Origin, "stated", next.time, "clock", now.Unix())
	}
	if err := w.folder.store(next); err != nil {
		w.cfg.Logger.Error("a checkpoint cannot be recorded, so it is not cosigned", "origin", r.Origin, "size", r.Size, "error", err)
		return refuse(http.StatusInternalServerError, "the witness cannot write its state")
	}
	// From here on the record counts, cosigned or not: a crash leaves it on the
	// disk, and nothing else can be cosigned in its place.
	s.record = next
	if w.stored != nil {
		w.stored()
	}
	cosigned := w.cosign(next)
	s.show(next.note(cosigned...))
	return &Answer{Status: http.StatusOK, ContentType: plainText, Body: checkpoint.Append(nil, cosigned...)}
}

// extends gives the answer to a request that does not follow from the record,
// by the first rule that it breaks, or nil.
func (old *record) extends(r *request) *Answer {
	switch {
	case r.old > r.Size:
		return refuse(http.StatusBadRequest, "old size %d is above the checkpoint's, %d", r.old, r.Size)
	case r.old != old.Size:
		return &Answer{Status: http.StatusConflict, ContentType: sizeText, Body: []byte(strconv.FormatUint(old.Size, 10) + "\n")}
	case r.Size == 0 && r.Root != emptyRoot:
		return refuse(http.StatusUnprocessableEntity, "a tree of size 0 has the root SHA-256(\"\")")
	case r.old == 0 && len(r.proof) > 0:
		return refuse(http.StatusUnprocessableEntity, "a proof from size 0 is empty")
	case r.old == 0:
		return nil
	case r.old == r.Size && r.Root != old.Root:
		return refuse(http.StatusUnprocessableEntity, "another root of size %d was cosigned", r.Size)
	}
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, old.Size, r.Size, raw(r.proof), old.Root[:], r.Root[:]); err != nil {
		return refuse(http.StatusUnprocessableEntity, "the checkpoint is not shown to extend the one of size %d: %v", old.Size, err)
	}
	return nil
}

func raw(hashes []leaf.Hash) [][]byte {
	b := make([][]byte, len(hashes))
	for i := range hashes {
		b[i] = hashes[i][:]
	}
	return b
}

// ask has Check judge, which may say no for good.
func (w *Witness) ask(ctx context.Context, s *logState, r *request, lines []checkpoint.Line) *Answer {
	if s.stopped == nil && w.cfg.Check != nil {
		err := w.cfg.Check(ctx, r.Foreign, (&record{text: r.text, lines: lines}).note())
		switch {
		case err == nil:
		case errors.Is(err, ErrBehind):
			return later("%v", err)
		case errors.Is(err, ErrStopped):
			s.stopped = err
			w.cfg.Logger.Error("no checkpoint of this log is cosigned any more", "origin", r.Origin, "error", err)
		default:
			w.cfg.Logger.Error("a checkpoint cannot be checked, so it is not cosigned", "origin", r.Origin, "size", r.Size, "error", err)
			return later("the checkpoint cannot be checked now: ask again")
		}
	}
	if s.stopped != nil {
		return refuse(http.StatusServiceUnavailable, "%v", s.stopped)
	}
	return nil
}
