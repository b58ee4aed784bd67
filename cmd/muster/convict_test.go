package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterlog/muster/api/server"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/witness/follow/followtest"
)

// lying is a lying log behind the real handlers.
type lying struct {
	server.Backend
	log *liar.Log
}

func (l lying) Lookup(ctx context.Context, request []byte) ([]byte, error) {
	return l.log.Lookup(ctx, request)
}

// silent serves no file.
type silent struct{ lying }

func (silent) Tile(context.Context, int, uint64, int) ([]byte, error) {
	return nil, errors.New("not today")
}

func serveLiar(t *testing.T, wrap func(lying) server.Backend, l *liar.Log) (url string) {
	t.Helper()
	files := followtest.New(l.Origin, l.Leaves...)
	files.Note = l.Note
	h, err := server.New(server.Config{Backend: wrap(lying{files.Backend(), l}), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// What a command finds out is kept before it ends: files that convict the log
// and each colluder with the servers gone, or both notes if the log hides its
// tree.
func TestFailedChecksLeaveEvidence(t *testing.T) {
	talks := func(l lying) server.Backend { return l }
	hides := func(l lying) server.Backend { return silent{l} }
	event := func(l *liar.Log, id name.Identifier) {
		p := liar.NewPhone(l.Origin, id, l.TimeMs)
		l.Append(p.Account(), p.Register())
	}
	for _, c := range []struct {
		name  string
		group string
		wrap  func(lying) server.Backend
		fork  bool
		lie   func(l *liar.Log)
		check string
		kinds []string // of the files of evidence
		notes int
	}{
		{"two views of one size", "ws", talks, true, func(l *liar.Log) { event(l, "bob"); l.Seal() }, "split-view", []string{"E1", "W E1", "W E1"}, 0},
		{"two views of one size, the tree hidden", "ws", hides, true, func(l *liar.Log) { event(l, "bob"); l.Seal() }, "split-view", []string{"E1", "W E1", "W E1"}, 0},
		{"two views", "ws", talks, true, func(l *liar.Log) { event(l, "bob"); l.Seal(); l.Seal() }, "consistency", []string{"E2", "W E2", "W E2"}, 0},
		{"two views, the tree hidden", "ws", hides, true, func(l *liar.Log) { event(l, "bob"); l.Seal(); l.Seal() }, "consistency", nil, 2},
		{"a log that goes on after its SEAL", "ws", talks, false, func(l *liar.Log) { event(l, "bob"); l.Seal() }, "sealed", []string{"E5"}, 0},
		{"the same before auditors who look away", "auditors", talks, false, func(l *liar.Log) { event(l, "bob"); l.Seal() }, "sealed", []string{"A E5", "A E5", "E5"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := liar.New("example.org/log1", uint64(time.Now().UnixMilli()))
			policy := "log " + l.Signer.Key().String() + "\n"
			keys := map[string]checkpoint.Key{"E": l.Signer.Key()}
			for i := range 2 {
				key, err := checkpoint.NewCosigner(checkpoint.Cosignature, fmt.Sprintf("w%d.example", i), liar.Seed("convict", fmt.Sprint(i)))
				if err != nil {
					t.Fatal(err)
				}
				l.Cosigners = append(l.Cosigners, key)
				policy += fmt.Sprintf("witness w%d %s\n", i, key.Key())
				keys[key.Key().Name] = key.Key()
			}
			file := filepath.Join(t.TempDir(), "policy")
			if err := os.WriteFile(file, []byte(policy+"group "+c.group+" all w0 w1\nquorum "+c.group+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			l.Seal()
			seen := l.Fork()
			if c.fork {
				event(seen, "carol")
				seen.Seal()
			} else {
				seen.SealAs(&leaf.Epoch{Epoch: seen.Epochs, TimeMs: seen.TimeMs, First: seen.First, Keys: seen.Keys, PrefixRoot: seen.Tree.Root(), Sealed: true})
				l = seen.Fork()
			}
			state := filepath.Join(t.TempDir(), "state")
			ask := func(url string) said {
				return muster(t, "devices", "dave", "--log", url, "--policy", file, "--state", state)
			}
			if s := ask(serveLiar(t, c.wrap, seen)); s.code != exitOK {
				t.Fatal(s.err)
			}
			c.lie(l)
			s := ask(serveLiar(t, c.wrap, l))
			if s.code != exitRefuse || s.out != "" || !strings.Contains(s.err, "("+c.check+")") {
				t.Fatalf("exit code %d\n%s%s", s.code, s.out, s.err)
			}
			judgeFolder(t, filepath.Join(state, "evidence"), s.err, keys, c.kinds, c.notes)
		})
	}
}

// An event that breaks the account rules convicts the log, by its own public
// files. Whoever keeps the file is told that it is about somebody.
func TestBrokenEventLeavesEvidence(t *testing.T) {
	l := liar.New("example.org/log1", uint64(time.Now().UnixMilli()))
	dave, eve := liar.NewPhone(l.Origin, "dave", l.TimeMs), liar.NewPhone(l.Origin, "eve", l.TimeMs)
	l.Append(dave.Account(), eve.Register())
	l.Seal()
	policy := filepath.Join(t.TempDir(), "policy")
	if err := os.WriteFile(policy, []byte("log "+l.Signer.Key().String()+"\nquorum none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(t.TempDir(), "state")
	url := serveLiar(t, func(l lying) server.Backend { return l }, l)
	s := muster(t, "devices", "dave", "--log", url, "--policy", policy, "--state", state)
	if s.code != exitRefuse || !strings.Contains(s.err, "(rules)") || !strings.Contains(s.err, "ask its owner") {
		t.Fatalf("exit code %d\n%s%s", s.code, s.out, s.err)
	}
	judgeFolder(t, filepath.Join(state, "evidence"), s.err, map[string]checkpoint.Key{"E": l.Signer.Key()}, []string{"E6"}, 0)
}

// judgeFolder judges each kept file with the key of whom it accuses.
func judgeFolder(t *testing.T, dir, printed string, keys map[string]checkpoint.Key, kinds []string, notes int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if !strings.Contains(printed, "muster: kept in "+path+"\n") {
			t.Errorf("%s is not named in\n%s", path, printed)
		}
		if strings.HasSuffix(path, ".note") {
			notes--
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := evidence.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		convicted := 0
		for _, key := range keys {
			if _, err := f.Verify(key); err == nil {
				convicted++
			}
		}
		if convicted != 1 {
			t.Errorf("%s convicts %d parties", path, convicted)
		}
		got = append(got, string(f.Kind))
	}
	slices.Sort(got)
	if !slices.Equal(got, kinds) || notes != 0 {
		t.Errorf("evidence %q and %d notes missing, want %q\n%s", got, notes, kinds, printed)
	}
}
