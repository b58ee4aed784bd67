package auditor_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/api/server"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/witness"
	"github.com/musterlog/muster/witness/auditor"
	"github.com/musterlog/muster/witness/follow"
	"github.com/musterlog/muster/witness/follow/followtest"
)

// TestMain is also the auditor that is killed: see child.
func TestMain(m *testing.M) {
	if dir := os.Getenv("MUSTER_TEST_AUDIT_DIR"); dir != "" {
		child(dir, os.Getenv("MUSTER_TEST_AUDIT_URL"), os.Getenv("MUSTER_TEST_AUDIT_VKEY"))
		return
	}
	os.Exit(m.Run())
}

func child(dir, url, vkey string) {
	c, err := client.New(client.Config{URL: url})
	if err != nil {
		panic(err)
	}
	key, err := checkpoint.ParseKey(vkey)
	if err != nil {
		panic(err)
	}
	a, err := auditor.Open(auditor.Config{Dir: dir, Log: key, Source: c, Batch: 100, CacheBytes: 8 << 20})
	if err != nil {
		panic(err)
	}
	r, err := a.Catch(context.Background())
	fmt.Printf("%+v %v\n", r, err)
}

// TestKilled has an auditor killed (SIGKILL) again and again while it reads:
// each goes on where the last commit was, and the end is that of one that ran
// undisturbed.
func TestKilled(t *testing.T) {
	l := newLiar(25, 150)
	f := l.files()
	handler, err := server.New(server.Config{Backend: f.Backend()})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var running *exec.Cmd
	var bundles []string // asked for by the running one
	fatal := 4           // the bundle at which it is killed
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/tile/entries/") {
			mu.Lock()
			bundles = append(bundles, r.URL.Path)
			if len(bundles) == fatal {
				running.Process.Kill()
			}
			mu.Unlock()
		}
		handler.ServeHTTP(w, r)
	}))
	defer s.Close()
	dir := t.TempDir()
	var out strings.Builder
	kills, resumed := 0, 0
	for {
		out.Reset()
		mu.Lock()
		running = exec.Command(os.Args[0])
		running.Env = append(os.Environ(), "MUSTER_TEST_AUDIT_DIR="+dir, "MUSTER_TEST_AUDIT_URL="+s.URL, "MUSTER_TEST_AUDIT_VKEY="+l.Signer.Key().String())
		running.Stdout = &out
		bundles = nil
		if err := running.Start(); err != nil {
			t.Fatal(err)
		}
		mu.Unlock()
		err := running.Wait()
		mu.Lock()
		if len(bundles) > 0 && bundles[0] != "/tile/entries/000" {
			resumed++
		}
		fatal += kills % 2 // further each time, so that it comes to an end
		mu.Unlock()
		if err == nil {
			break
		}
		if kills++; kills > 60 {
			t.Fatal("it never gets to the end")
		}
	}
	r, err := l.audits(t, t.TempDir(), f)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%+v %v\n", r, nil); out.String() != want {
		t.Errorf("after %d kills: %s, undisturbed: %s", kills, out.String(), want)
	}
	if kills < 3 || resumed < 1 {
		t.Errorf("%d kills, %d times it went on in the middle", kills, resumed)
	}
	t.Logf("%d kills, %d starts in the middle", kills, resumed)
}

// TestStopsAfterARestartInAnEpoch: the map before is built again from the
// store, which has leaves of the unfinished epoch too.
func TestStopsAfterARestartInAnEpoch(t *testing.T) {
	l, dir := newLiar(3, 50), t.TempDir()
	for range 700 {
		l.event()
	}
	l.Map[indexOf(1<<40)] = l.Map[indexOf(1)] // a ghost
	l.Seal()
	position := uint64(len(l.Leaves)) - 1
	f := l.files()
	open := func(s follow.Source) *auditor.Auditor {
		a, err := auditor.Open(auditor.Config{Dir: dir, Log: l.Signer.Key(), Source: s, Batch: 64, Logger: slog.New(slog.DiscardHandler), CacheBytes: 8 << 20})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := open(serve(t, f, "/tile/entries/003", behaviours["500"]))
	if _, err := a.Catch(context.Background()); err == nil || errors.As(err, new(*auditor.Broken)) {
		t.Fatalf("without its last bundle: %v", err)
	}
	a.Close()
	a = open(f)
	if a.Events() < 300 {
		t.Fatalf("%d events were kept: the epoch was not cut", a.Events())
	}
	_, err := a.Catch(context.Background())
	a.Close()
	l.caught(t, dir, err, position, evidence.E4c)
}

// TestForks: two trees of one log, in every order in which they can come.
func TestForks(t *testing.T) {
	past := newLiar(2, 20)
	left, right := &liarLog{past.Fork()}, &liarLog{past.Fork()}
	left.event()
	right.event()
	right.Leaves[len(right.Leaves)-1][40] ^= 1 // another commitment
	left.Seal()
	right.Seal()
	longer := &liarLog{right.Fork()}
	for range 9 {
		longer.event()
	}
	longer.Seal()
	size := uint64(len(left.Leaves))
	for _, c := range []struct {
		name          string
		first, second *liarLog
		kind          evidence.Kind
		position      uint64
	}{
		{"one size", left, right, evidence.E1, size},
		{"a longer one", left, longer, evidence.E2, size},
		{"the same", past, past, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := c.first.audits(t, dir, c.first.files()); err != nil {
				t.Fatal(err)
			}
			_, err := c.second.audits(t, dir, c.second.files())
			if c.kind == "" {
				if err != nil {
					t.Errorf("the same log again: %v", err)
				}
				return
			}
			c.second.caught(t, dir, err, c.position, c.kind)
		})
	}
	t.Run("one size, and files of the first", func(t *testing.T) {
		dir := t.TempDir()
		f := left.files()
		if _, err := left.audits(t, dir, f); err != nil {
			t.Fatal(err)
		}
		f.Note = right.Note
		_, err := left.audits(t, dir, f)
		left.caught(t, dir, err, size, evidence.E1)
	})
	t.Run("a shorter one, later", func(t *testing.T) {
		dir := t.TempDir()
		grown := &liarLog{left.Fork()}
		grown.event()
		grown.Seal()
		a := grown.open(t, dir, grown.files())
		if _, err := a.Catch(context.Background()); err != nil {
			t.Fatal(err)
		}
		a.Close()
		// The log serves the files of the fork, and still those of the longer tree.
		b := grown.open(t, dir, twoTrees{right.files(), grown.files()})
		err := b.Check(context.Background(), right.Note)
		b.Close()
		grown.caught(t, dir, err, size, evidence.E2)
	})
}

// TestCosigns: the auditor's witness signs what was replayed, says when it is
// behind, and answers 503 with the reason once the log broke a rule.
func TestCosigns(t *testing.T) {
	l, dir := newLiar(2, 300), t.TempDir()
	f := l.files()
	source := &gate{Source: f}
	a := l.open(t, dir, source)
	defer a.Close()
	key, err := checkpoint.NewCosigner(checkpoint.Cosignature, "auditor.example.net", [32]byte{7})
	if err != nil {
		t.Fatal(err)
	}
	w, err := witness.Open(witness.Config{
		Dir: dir, Init: true, Logs: []witness.Log{{Key: l.Signer.Key()}}, Cosigners: []*checkpoint.Cosigner{key},
		Check: a.Judge, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ask := func(ctx context.Context, old uint64, proof string) *witness.Answer {
		return w.AddCheckpoint(ctx, append(fmt.Appendf(nil, "old %d\n%s\n", old, proof), l.Note...))
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	source.closed = true
	if r := ask(ctx, 0, ""); r.Status != 503 || r.RetryAfter == 0 || !strings.Contains(string(r.Body), "not replayed") {
		t.Errorf("behind: %d %s", r.Status, r.Body)
	}
	source.closed = false
	r := ask(context.Background(), 0, "")
	if r.Status != 200 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	lines, err := checkpoint.ParseLines(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	n, err := checkpoint.Parse(l.Note)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := key.Key().Verify(n.Text, lines[0]); err != nil {
		t.Errorf("the cosignature: %v", err)
	}
	// The log hides a device, and asks for the next cosignature.
	l.event()
	delete(l.Map, indexOf(3))
	old := n.Size
	l.Seal()
	source.Source = l.files()
	proof := consistency(t, l.files(), old)
	for range 2 {
		r = ask(context.Background(), old, proof)
		if r.Status != 503 || !strings.Contains(string(r.Body), "broke a rule") || r.RetryAfter != 0 {
			t.Errorf("after the lie: %d %s", r.Status, r.Body)
		}
	}
	_, err = a.Catch(context.Background())
	l.caught(t, dir, err, uint64(len(l.Leaves))-1, evidence.E4c)
}

// consistency is the proof's lines in a request.
func consistency(t *testing.T, f *followtest.Files, from uint64) string {
	hashes, err := answer.Consistency(from, f.Size(), f.Node)
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for _, h := range hashes {
		lines.WriteString(base64.StdEncoding.EncodeToString(h[:]) + "\n")
	}
	return lines.String()
}

// gate gives no entries while it is closed.
type gate struct {
	follow.Source
	closed bool
}

func (g *gate) Entries(ctx context.Context, n uint64, width int) ([]byte, error) {
	if g.closed {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return g.Source.Entries(ctx, n, width)
}

// twoTrees serves the files of two trees of under 256 leaves, told apart by
// their width.
type twoTrees struct{ short, long *followtest.Files }

func (b twoTrees) of(width int) *followtest.Files {
	if uint64(width) == b.short.Size() {
		return b.short
	}
	return b.long
}

func (b twoTrees) Checkpoint(ctx context.Context) ([]byte, error) { return b.long.Checkpoint(ctx) }

func (b twoTrees) Tile(ctx context.Context, level int, n uint64, width int) ([]byte, error) {
	return b.of(width).Tile(ctx, level, n, width)
}

func (b twoTrees) Entries(ctx context.Context, n uint64, width int) ([]byte, error) {
	return b.of(width).Entries(ctx, n, width)
}
