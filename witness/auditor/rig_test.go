package auditor_test

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/witness/auditor"
	"github.com/musterlog/muster/witness/follow"
	"github.com/musterlog/muster/witness/follow/followtest"
)

const (
	origin = name.Origin("keys.example.org/log1")
	start  = uint64(1_790_000_000_000)
)

// liarLog is a log with a few honest epochs; event i has an index of its own.
type liarLog struct{ *liar.Log }

func newLiar(epochs, events int) *liarLog {
	l := &liarLog{liar.New(origin, start)}
	for range epochs {
		for range events {
			l.event()
		}
		l.Seal()
	}
	return l
}

func indexOf(n uint64) name.Index {
	return name.Index(liar.Seed("index", string(binary.BigEndian.AppendUint64(nil, n))))
}

// event logs an EVENT with a fresh index.
func (l *liarLog) event() uint64 { return l.eventAs(indexOf(uint64(len(l.Leaves)))) }

// eventAs logs an EVENT with an index of the liar's choice.
func (l *liarLog) eventAs(i name.Index) uint64 {
	position := uint64(len(l.Leaves))
	e := &leaf.Event{Index: i, Commitment: name.Commitment(liar.Seed("commitment", string(i[:])))}
	l.Leaves = append(l.Leaves, e.Bytes())
	l.Map[i] = liar.Entry{Value: prefix.Value(position, e.Commitment), Position: position}
	l.Keys++
	return position
}

// leaf logs any bytes.
func (l *liarLog) leaf(data []byte) uint64 {
	l.Leaves = append(l.Leaves, data)
	return uint64(len(l.Leaves)) - 1
}

// files are what the liar shows now.
func (l *liarLog) files() *followtest.Files {
	f := followtest.New(origin, l.Leaves...)
	f.Note = l.Note
	return f
}

func (l *liarLog) open(t testing.TB, dir string, s follow.Source) *auditor.Auditor {
	t.Helper()
	a, err := auditor.Open(auditor.Config{Dir: dir, Log: l.Signer.Key(), Source: s, Logger: slog.New(slog.DiscardHandler), CacheBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// audits opens an auditor, has it catch up, and closes it.
func (l *liarLog) audits(t testing.TB, dir string, s follow.Source) (auditor.Report, error) {
	t.Helper()
	a := l.open(t, dir, s)
	defer a.Close()
	return a.Catch(context.Background())
}

// caught is what the auditor has to say of a liar: it stopped at a position,
// kept a file of the kind that verifies under the log's key alone, and does not
// start again. An empty kind: no file can be made, and who starts again says the
// same.
func (l *liarLog) caught(t *testing.T, dir string, err error, position uint64, kind evidence.Kind) {
	t.Helper()
	var b *auditor.Broken
	if !errors.As(err, &b) {
		t.Fatalf("the auditor says %v, want that a rule is broken", err)
	}
	if b.Position != position {
		t.Errorf("it stopped at %d, want %d: %v", b.Position, position, err)
	}
	kept, _ := filepath.Glob(filepath.Join(dir, "evidence", "*.evidence"))
	if kind == "" {
		if b.Evidence != "" || len(kept) > 0 {
			t.Errorf("evidence %q, want none", b.Evidence)
		}
	} else {
		data, err := os.ReadFile(b.Evidence)
		if err != nil {
			t.Fatal(err)
		}
		f, err := evidence.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		v, err := f.Verify(l.Signer.Key())
		if err != nil || f.Kind != kind || f.Name() != filepath.Base(b.Evidence) || len(kept) != 1 {
			t.Fatalf("evidence of kind %s (want %s), %d files: %v", f.Kind, kind, len(kept), err)
		}
		t.Logf("stopped at %d; %s, %d bytes: %s", b.Position, f.Kind, len(data), v.Statement)
	}
	again, err := auditor.Open(auditor.Config{Dir: dir, Log: l.Signer.Key(), Source: l.files(), Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		if kind != "" {
			t.Error("an auditor that stopped opens again")
		}
		_, err = again.Catch(context.Background())
		again.Close()
	}
	var second *auditor.Broken
	if !errors.As(err, &second) || *second != *b {
		t.Errorf("an auditor that stopped says now: %v", err)
	}
}
