package auditor_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/witness/auditor"
	"github.com/musterlog/muster/witness/follow"
)

// owing is a log that forks, and an auditor of the first tree whose folder for
// evidence takes nothing.
type owing struct {
	*liarLog // the first tree
	second   *liarLog
	size     uint64 // of both
	dir      string
	said     strings.Builder
	told     chan string // each message
}

func newOwing(t *testing.T) *owing {
	o := &owing{liarLog: newLiar(2, 20), dir: t.TempDir(), told: make(chan string, 16)}
	o.second = &liarLog{o.Fork()}
	o.event()
	o.second.event()
	o.second.Leaves[len(o.second.Leaves)-1][40] ^= 1 // another commitment
	o.Seal()
	o.second.Seal()
	o.size = uint64(len(o.Leaves))
	if _, err := o.audits(t, o.dir, o.files()); err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *owing) folder() string { return filepath.Join(o.dir, "evidence") }

// open has no room for evidence: no file goes into a file.
func (o *owing) open(t *testing.T, s follow.Source) *auditor.Auditor {
	t.Helper()
	a, err := auditor.Open(auditor.Config{
		Dir: o.dir, Log: o.Signer.Key(), Source: s, Logger: slog.New(slog.NewTextHandler(o, nil)), CacheBytes: 8 << 20, Poll: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(o.folder()), os.WriteFile(o.folder(), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	return a
}

func (o *owing) Write(p []byte) (int, error) {
	o.told <- string(p)
	return o.said.Write(p)
}

func (o *owing) makeRoom(t *testing.T) {
	t.Helper()
	if err := errors.Join(os.Remove(o.folder()), os.Mkdir(o.folder(), 0o700)); err != nil {
		t.Fatal(err)
	}
}

// brokenBy is the *Broken among errors, or none.
func brokenBy(t *testing.T, err error) *auditor.Broken {
	t.Helper()
	var b *auditor.Broken
	if !errors.As(err, &b) {
		t.Fatalf("it says %v, want that a rule is broken", err)
	}
	return b
}

// TestEvidenceIsOwed: what the disk did not take is written by the next pass,
// though the log has gone back to its first tree.
func TestEvidenceIsOwed(t *testing.T) {
	o := newOwing(t)
	source := &gate{Source: o.second.files()}
	a := o.open(t, source)
	_, err := a.Catch(context.Background())
	if b := brokenBy(t, err); b.Evidence != "" {
		t.Fatalf("it says %v", b)
	}
	for _, want := range []string{strings.Split(string(o.second.Note), "\n")[2], o.folder(), "publish"} {
		if !strings.Contains(o.said.String(), want) {
			t.Errorf("it lacks %q: %s", want, o.said.String())
		}
	}
	o.makeRoom(t)
	source.Source = o.files()
	_, err = a.Catch(context.Background())
	a.Close()
	o.second.caught(t, o.dir, err, o.size, evidence.E1)
}

// TestRunOwesEvidence: it ends once there is room, though the log is away.
func TestRunOwesEvidence(t *testing.T) {
	o := newOwing(t)
	source := &once{Source: o.second.files()}
	a := o.open(t, source)
	ended := make(chan error)
	go func() { ended <- a.Run(context.Background()) }()
	for !strings.Contains(<-o.told, "stops for good") {
	}
	o.makeRoom(t)
	err := <-ended
	a.Close()
	o.second.caught(t, o.dir, err, o.size, evidence.E1)
}

// once shows one checkpoint, and then no more.
type once struct {
	follow.Source
	shown bool
}

func (s *once) Checkpoint(ctx context.Context) ([]byte, error) {
	if s.shown {
		return nil, errors.New("not today")
	}
	s.shown = true
	return s.Source.Checkpoint(ctx)
}

// TestOwedAfterARestart: an auditor on a folder that has a stop and no evidence
// finds nothing in order, and makes the evidence when it is shown the lie again.
func TestOwedAfterARestart(t *testing.T) {
	o := newOwing(t)
	honest := o.files()
	position := lies["a ghost"].lie(o.liarLog)
	a := o.open(t, o.files())
	_, err := a.Catch(context.Background())
	a.Close()
	first := brokenBy(t, err)
	o.makeRoom(t)
	for _, s := range []follow.Source{&once{shown: true}, honest} {
		_, err = o.audits(t, o.dir, s)
		if b := brokenBy(t, err); *b != *first {
			t.Errorf("after a restart it says %v", b)
		}
	}
	_, err = o.audits(t, o.dir, o.files())
	o.caught(t, o.dir, err, position, evidence.E4c)
}

// TestStopIsToldWithoutAMap: an auditor that has stopped says so, whatever became
// of its map since.
func TestStopIsToldWithoutAMap(t *testing.T) {
	o := newOwing(t)
	a := o.open(t, o.second.files())
	_, err := a.Catch(context.Background())
	a.Close()
	first := brokenBy(t, err)
	o.makeRoom(t)
	at := filepath.Join(o.dir, "map")
	if err := errors.Join(os.RemoveAll(at), os.WriteFile(at, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	_, err = auditor.Open(auditor.Config{Dir: o.dir, Log: o.Signer.Key(), Source: o.files()})
	if b := brokenBy(t, err); *b != *first {
		t.Errorf("without its map it says %v", b)
	}
}

// some answers so many questions, and then none.
type some struct {
	follow.Source
	left int
}

func (s *some) ask() error {
	if s.left--; s.left < 0 {
		return errors.New("not today")
	}
	return nil
}

func (s *some) Tile(ctx context.Context, level int, n uint64, width int) ([]byte, error) {
	if err := s.ask(); err != nil {
		return nil, err
	}
	return s.Source.Tile(ctx, level, n, width)
}

func (s *some) Entries(ctx context.Context, n uint64, width int) ([]byte, error) {
	if err := s.ask(); err != nil {
		return nil, err
	}
	return s.Source.Entries(ctx, n, width)
}

// TestStopIsMarkedLater: of a stop without evidence, which the disk did not take
// either, the next pass leaves the mark, so that the next auditor knows.
func TestStopIsMarkedLater(t *testing.T) {
	o := newOwing(t)
	honest := o.files()
	lies["a ghost"].lie(o.liarLog)
	source, mark := &some{Source: o.files()}, filepath.Join(o.dir, "stopped")
	stops := func(answers int) bool { // without evidence
		if err := errors.Join(os.RemoveAll(o.folder()), os.RemoveAll(mark)); err != nil {
			t.Fatal(err)
		}
		source.left = answers
		a, err := auditor.Open(auditor.Config{Dir: o.dir, Log: o.Signer.Key(), Source: source, CacheBytes: 8 << 20})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if err := os.Mkdir(mark, 0o700); err != nil { // takes no file
			t.Fatal(err)
		}
		_, err = a.Catch(context.Background())
		if b := brokenBy(t, err); b.Evidence != "" {
			return false
		}
		if err := os.Remove(mark); err != nil {
			t.Fatal(err)
		}
		a.Catch(context.Background())
		return true
	}
	answers := 1000
	for !stops(answers) {
		answers = min(answers-source.left, answers) - 1
	}
	_, err := o.audits(t, o.dir, honest)
	brokenBy(t, err)
}
