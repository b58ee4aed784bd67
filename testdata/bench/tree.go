package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/log/store/pebble"
)

// tree is the prefix tree by itself: the hashes of an insert, and what its rows
// cost the disk in a store that has no others.
func (b *bench) tree() error {
	if b.stage != 1_000_000 && b.stage != 10_000_000 && b.stage != b.last {
		return nil // a store of that size says nothing new
	}
	if err := b.close(); err != nil {
		return err
	}
	return errors.Join(b.hashes(), b.prefixWritten())
}

// hashes is what an insert costs a tree that takes the memory that a log gives it.
func (b *bench) hashes() error {
	pattern := fmt.Sprintf("^BenchmarkUpdate$/^n=%d$/^batch=%d$", b.stage, log.MaxEpochEvents)
	s, err := b.goBenchmark("log/prefix", pattern, 1, "hashes/insert", "least/insert")
	if err != nil {
		return err
	}
	b.figure("hashes", s["hashes/insert"][0]-s["least/insert"][0], s)
	return nil
}

// prefixMemTable is flushed after some 150,000 rows of the prefix tree, as a
// log's table is after all the rows of as many events. A larger one would be
// flushed less often, and compacted less.
const prefixMemTable = 16 << 20

// prefixWritten commits the rows of a prefix tree in epochs of 10,000.
func (b *bench) prefixWritten() (err error) {
	dir := filepath.Join(b.dir, "prefix")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	s, err := pebble.Create(pebble.Config{Dir: dir, MemTableBytes: prefixMemTable})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(), os.RemoveAll(dir)) }()
	start, err := written(os.Getpid())
	if err != nil {
		return err
	}
	random := rand.NewChaCha8([32]byte{1})
	rows := make([]prefix.Leaf, log.MaxEpochEvents)
	var cumulative samples = samples{}
	for n := 0; n < b.stage; n += len(rows) {
		if err := b.ctx.Err(); err != nil {
			return err
		}
		rows = rows[:min(len(rows), b.stage-n)]
		for i := range rows {
			random.Read(rows[i].Index[:])
			random.Read(rows[i].Hash[:])
			rows[i].Position = uint64(n + i)
		}
		if err := s.Commit(&store.Batch{Prefix: rows}); err != nil {
			return err
		}
		if have := n + len(rows); have%(b.stage/10) == 0 || have == b.stage {
			settle() // compactions count for the rows that caused them
			now, err := written(os.Getpid())
			if err != nil {
				return err
			}
			cumulative["rows"] = append(cumulative["rows"], float64(have))
			cumulative["bytes_per_row"] = append(cumulative["bytes_per_row"], float64(now-start)/float64(have))
		}
	}
	all := cumulative["bytes_per_row"]
	b.figure("prefix-written", all[len(all)-1], cumulative)
	return nil
}
