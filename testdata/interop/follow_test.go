package interop

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"
	tclient "github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"

	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
)

const origin = name.Origin("example.org/interop")

// followed is our log as tessera's client sees it.
type followed struct {
	*testing.T
	url      string
	verifier note.Verifier
	files    *tclient.HTTPFetcher
	accounts int
}

func follow(t *testing.T) *followed {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "log")
	s := start(t, "serve", "--dir", dir, "--init", "--origin", string(origin), "--epoch", "5ms", "--heartbeat", "1h")
	f := &followed{T: t, url: s.url}
	var err error
	if f.verifier, err = note.NewVerifier(read(t, dir, "log.vkey")); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	if f.files, err = tclient.NewHTTPFetcher(u, http.DefaultClient); err != nil {
		t.Fatal(err)
	}
	return f
}

// grow registers new accounts, and returns once they are published.
func (f *followed) grow(n int) {
	f.Helper()
	var lines bytes.Buffer
	for range n {
		f.accounts++
		id := name.Identifier(fmt.Sprintf("account-%d", f.accounts))
		event := liar.NewPhone(origin, id, 1767225600000).Register() // an honest phone: its signatures are real
		fmt.Fprintf(&lines, "{\"event\":%q}\n", base64.StdEncoding.EncodeToString(event))
	}
	submit := exec.CommandContext(f.Context(), builtMuster, "submit", "--log", f.url, "-")
	submit.Stdin = &lines
	if out, err := submit.CombinedOutput(); err != nil {
		f.Fatalf("submitting %d events: %v\n%s", n, err, out)
	}
}

// TestTesseraFollowsOurLog: over its growth past two full tiles, tessera's own
// client proves every checkpoint to extend the one before, and every entry to
// be included in each; then its fsck recomputes all of it.
func TestTesseraFollowsOurLog(t *testing.T) {
	f := follow(t)
	cc := tclient.UnilateralConsensus(f.files.ReadCheckpoint)
	tracker, err := tclient.NewLogStateTracker(t.Context(), f.files.ReadTile, nil, f.verifier, string(origin), cc)
	if err != nil {
		t.Fatal(err)
	}
	updates, proofs := 0, 0
	for _, n := range []int{1, 1, 2, 5, 120, 123, 1, 1, 250, 3, 300} {
		before := tracker.Latest()
		f.grow(n)
		_, consistency, _, err := tracker.Update(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		now := tracker.Latest()
		if now.Size < before.Size+uint64(n)+1 {
			t.Fatalf("after %d events tessera still sees %d leaves, %d before", n, now.Size, before.Size)
		}
		if err := proof.VerifyConsistency(rfc6962.DefaultHasher, before.Size, now.Size, consistency, before.Hash, now.Hash); err != nil {
			t.Fatal(err)
		}
		updates++
		proofs += f.included(now.Size, now.Hash)
	}
	t.Logf("%d checkpoints, each proven consistent with the one before; %d inclusion proofs", updates, proofs)
	if err := f.check(f.files); err != nil {
		t.Fatalf("tessera's fsck: %v", err)
	}
}

// included has every entry proven to be in the tree, and gives their number.
func (f *followed) included(size uint64, root []byte) int {
	f.Helper()
	builder, err := tclient.NewProofBuilder(f.Context(), size, f.files.ReadTile)
	if err != nil {
		f.Fatal(err)
	}
	entries := uint64(0)
	for i := uint64(0); i*layout.EntryBundleWidth < size; i++ {
		bundle, err := tclient.GetEntryBundle(f.Context(), f.files.ReadEntryBundle, i, size)
		if err != nil {
			f.Fatal(err)
		}
		for _, entry := range bundle.Entries {
			path, err := builder.InclusionProof(f.Context(), entries)
			if err != nil {
				f.Fatal(err)
			}
			if err := proof.VerifyInclusion(rfc6962.DefaultHasher, entries, size, rfc6962.DefaultHasher.HashLeaf(entry), path, root); err != nil {
				f.Fatalf("entry %d of %d: %v", entries, size, err)
			}
			entries++
		}
	}
	if entries != size {
		f.Fatalf("%d entries in a log of %d", entries, size)
	}
	return int(entries)
}

func (f *followed) check(files fsck.Fetcher) error {
	return fsck.New(string(origin), f.verifier, files, leafHashes, fsck.Opts{N: 2}).Check(f.Context())
}

// leafHashes is tessera's own default, which it does not export.
func leafHashes(data []byte) ([][]byte, error) {
	var bundle api.EntryBundle
	if err := bundle.UnmarshalText(data); err != nil {
		return nil, err
	}
	var hashes [][]byte
	for _, e := range bundle.Entries {
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(e))
	}
	return hashes, nil
}

// TestTesseraIsNoRubberStamp: with one byte of one file changed on the way,
// the same fsck refuses; so the test above can fail.
func TestTesseraIsNoRubberStamp(t *testing.T) {
	f := follow(t)
	f.grow(300)
	if err := f.check(f.files); err != nil {
		t.Fatalf("tessera's fsck of the log as it is: %v", err)
	}
	for name, files := range map[string]fsck.Fetcher{
		"an entry":   &flipped{HTTPFetcher: f.files, entries: true},
		"a tile":     &flipped{HTTPFetcher: f.files},
		"checkpoint": &flipped{HTTPFetcher: f.files, checkpoint: true},
	} {
		if err := f.check(files); err == nil {
			t.Errorf("tessera's fsck says nothing of a flipped bit in %s", name)
		}
	}
}

// flipped changes the last bit of a byte in what it fetches of one sort.
type flipped struct {
	*tclient.HTTPFetcher
	entries, checkpoint bool
}

func (f *flipped) ReadCheckpoint(ctx context.Context) ([]byte, error) {
	data, err := f.HTTPFetcher.ReadCheckpoint(ctx)
	return flip(data, f.checkpoint), err
}

func (f *flipped) ReadTile(ctx context.Context, l, i uint64, p uint8) ([]byte, error) {
	data, err := f.HTTPFetcher.ReadTile(ctx, l, i, p)
	return flip(data, !f.entries && !f.checkpoint), err
}

func (f *flipped) ReadEntryBundle(ctx context.Context, i uint64, p uint8) ([]byte, error) {
	data, err := f.HTTPFetcher.ReadEntryBundle(ctx, i, p)
	return flip(data, f.entries), err
}

func flip(data []byte, really bool) []byte {
	data = bytes.Clone(data)
	if really && len(data) > 30 {
		data[30] ^= 1
	}
	return data
}
