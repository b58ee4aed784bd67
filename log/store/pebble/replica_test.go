package pebble

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log/durable/durabletest"
	"github.com/musterlog/muster/log/prefix"
)

// replicaCommits is what a replica gets: commits that become tables (4 leaves
// or more here), and small ones between them. All indexes lie between each other.
func replicaCommits() [][]prefix.Leaf {
	r := rand.New(rand.NewPCG(5, 5))
	var commits [][]prefix.Leaf
	position := uint64(1)
	for _, n := range []int{2, 9, 0, 30, 1, 300, 3, 40, 0, 2, 4} {
		leaves := make([]prefix.Leaf, n)
		for i := range leaves {
			for b := 0; b < 32; b += 8 {
				binary.BigEndian.PutUint64(leaves[i].Index[b:], r.Uint64())
				binary.BigEndian.PutUint64(leaves[i].Hash[b:], r.Uint64())
			}
			leaves[i].Position = position
			position++
		}
		leaves = prefix.Sorted(nil, leaves)
		commits = append(commits, leaves)
	}
	return commits
}

const largeHere = 4

func openReplica(t *testing.T, cfg Config) *Replica {
	t.Helper()
	r, err := OpenReplica(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.large = largeHere
	return r
}

// checkReplica wants the record and leaves of the first n commits.
func checkReplica(r *Replica, n int) error {
	record, err := r.Record()
	if err != nil {
		return err
	}
	var want []prefix.Leaf
	for _, leaves := range replicaCommits()[:n] {
		want = append(want, leaves...)
	}
	want = prefix.Sorted(nil, want)
	if n == 0 && record != nil || n > 0 && string(record) != fmt.Sprint("record ", n) {
		return fmt.Errorf("record %q after %d commits", record, n)
	}
	var all []prefix.Leaf
	for l, err := range r.PrefixLeaves() {
		if err != nil {
			return err
		}
		all = append(all, l)
	}
	if !slices.Equal(all, want) {
		return fmt.Errorf("%d leaves after %d commits, want %d", len(all), n, len(want))
	}
	for depth := range 4 { // all ranges of a depth, in any order
		for i := range byte(1) << depth {
			i := bytes.Repeat([]byte{i << (8 - depth)}, 32)
			got, err := r.Range(nil, [32]byte(i), depth)
			if err != nil {
				return err
			}
			below := slices.DeleteFunc(slices.Clone(want), func(l prefix.Leaf) bool {
				return (l.Index[0]^i[0])>>(8-depth) != 0
			})
			if !slices.Equal(got, below) {
				return fmt.Errorf("after %d commits %d leaves below %d bits of %x, want %d", n, len(got), depth, i[:1], len(below))
			}
		}
	}
	return nil
}

func TestReplica(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), CacheBytes: 1 << 20}
	r := openReplica(t, cfg)
	for n, leaves := range replicaCommits() {
		if err := checkReplica(r, n); err != nil {
			t.Fatal(err)
		}
		if err := r.Commit(leaves, fmt.Append(nil, "record ", n+1)); err != nil {
			t.Fatal(err)
		}
		if n%3 == 0 {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			r = openReplica(t, cfg)
		}
	}
	defer r.Close()
	if err := checkReplica(r, len(replicaCommits())); err != nil {
		t.Error(err)
	}
	if m := r.store.db.pebble.Metrics(); m.Ingest.Count == 0 {
		t.Error("no commit became a table")
	}
	if _, err := r.Range(nil, [32]byte{}, 257); err == nil {
		t.Error("a range of 257 bits was read")
	}
	unsorted := slices.Clone(replicaCommits()[3])
	slices.Reverse(unsorted)
	if err := r.Commit(unsorted, []byte("record 0")); err == nil {
		t.Error("leaves that do not ascend became a table")
	}
	if err := checkReplica(r, len(replicaCommits())); err != nil {
		t.Errorf("after a commit that failed: %v", err)
	}
}

// TestReplicaPowerCut cuts the power before every operation on the file system,
// and after every commit: the replica opens and holds a whole number of
// commits, none that returned missing.
func TestReplicaPowerCut(t *testing.T) {
	for _, percent := range []int{0, 50, 100} {
		t.Run(fmt.Sprintf("%d percent of unsynced data survives", percent), func(t *testing.T) {
			mem := durabletest.NewCrashable()
			random := rand.New(rand.NewPCG(uint64(percent), 1))
			var mu sync.Mutex // held during a cut: background work calls the hook too
			var acked atomic.Int64
			acked.Store(-1)
			cuts := 0
			cut := func(string, string) {
				mu.Lock()
				defer mu.Unlock()
				done := int(acked.Load())
				clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(random.Uint64(), 2))})
				r, err := OpenReplica(crashConfig(clone))
				if err != nil {
					if done >= 0 {
						t.Errorf("after %d commits it does not open: %v", done, err)
					}
					return
				}
				cuts++
				err = checkReplica(r, max(done, 0))
				if err != nil && done >= 0 && done < len(replicaCommits()) && checkReplica(r, done+1) == nil {
					err = nil
				}
				if err := errors.Join(err, r.Close()); err != nil {
					t.Errorf("after %d commits: %v", done, err)
				}
			}
			r := openReplica(t, crashConfig(&durabletest.Hook{FS: mem, Before: cut}))
			acked.Store(0)
			for n, leaves := range replicaCommits() {
				if err := r.Commit(leaves, fmt.Append(nil, "record ", n+1)); err != nil {
					t.Fatal(err)
				}
				acked.Store(int64(n + 1))
				cut("", "")
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if t.Logf("%d power cuts", cuts); cuts < 100 {
				t.Errorf("%d power cuts, want 100 or more", cuts)
			}
		})
	}
}
