package main

import (
	"path/filepath"
	"testing"

	"github.com/musterlog/muster/log/event"
)

// TestBackfill replays what a town sends: every account's events follow each
// other, and those that lookups ask for are there.
func TestBackfill(t *testing.T) {
	town, err := openTown(filepath.Join(t.TempDir(), "town.json"))
	if err != nil {
		t.Fatal(err)
	}
	accounts := make(map[[32]byte]*event.Account)
	for range 3 {
		batches, hours, n := town.backfill(400)
		got := 0
		for _, batch := range batches {
			for _, body := range batch {
				e, err := event.Parse(body)
				if err != nil {
					t.Fatal(err)
				}
				if accounts[e.Account] == nil {
					accounts[e.Account] = event.NewAccount(e.Log, e.Account)
				}
				if err := accounts[e.Account].Apply(event.Check(e)); err != nil {
					t.Fatal(err)
				}
				got++
			}
		}
		if got != n || n < 400 {
			t.Errorf("%d events, said to be %d", got, n)
		}
		if err := town.grown(hours, n); err != nil {
			t.Fatal(err)
		}
		for _, seq := range []int{1, 3} {
			asked := town.ending(seq, 5)
			if len(asked) == 0 {
				t.Errorf("nobody ends at seq %d", seq)
			}
			for _, q := range asked {
				if a := accounts[q.Account]; a == nil || int(a.Next) != seq+1 {
					t.Errorf("account %v does not end at seq %d", q.Account, seq)
				}
			}
		}
	}
}
