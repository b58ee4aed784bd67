package storetest

import (
	"bytes"
	"slices"
	"testing"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
)

func testErasure(t *testing.T, create Create) {
	s, reopen := create(t)
	m := NewModel(4)
	commit(t, s, m.Next(200))
	erased := func() (n int) {
		for _, e := range m.Events {
			if len(e.Body) == 0 {
				n++
			}
		}
		return n
	}
	if len(m.erase) == 0 || erased() != 0 {
		t.Fatalf("the model has %d erasures ahead and %d behind, want some and none", len(m.erase), erased())
	}
	kept := make(map[name.AccountID]store.Proof)
	for _, e := range m.Events {
		if e.Seq < store.ProofGroup {
			kept[e.Account] = store.Proof{Seq: e.Seq, Index: name.Index{byte(e.Position)}}
		}
	}
	for id, p := range kept {
		if err := s.PutProofs(id, 0, []store.Proof{p}); err != nil {
			t.Fatal(err)
		}
	}
	check(t, m, s) // nothing is deleted before it is told
	for range 3 {
		commit(t, s, m.Next(100))
		check(t, m, s)
	}
	again := m.Next(0) // told twice, which a crash may cause
	for _, a := range m.Accounts {
		if a.Erase != store.None {
			again.Erase = append(again.Erase, store.Erasure{Account: a.ID, Before: a.Erase})
			m.forget(again.Erase[len(again.Erase)-1])
		}
	}
	commit(t, s, again)
	s = reopen()
	check(t, m, s)
	if erased() == 0 {
		t.Fatal("the model erased nothing")
	}
	for id, want := range kept {
		if p, err := s.Proofs(id, 0); err != nil || !slices.Equal(p, []store.Proof{want}) {
			t.Errorf("VRF proofs of account %v: %v, %v, want them kept", id, p, err)
		}
	}
}

// A recovered store has events whose content was erased, or lost, before those
// below were told of the ERASE.
func testErasureBeforeGaps(t *testing.T, create Create) {
	s, _ := create(t)
	m := NewModel(7)
	b := m.Next(60)
	i := slices.IndexFunc(b.Events, func(e store.Event) bool { return e.Seq == 1 })
	gap := &b.Events[i]
	gap.Opening, gap.Body = name.Opening{}, nil
	m.forget(store.Erasure{Account: gap.Account, Before: 2})
	for _, e := range b.Events {
		if e.Account == gap.Account && e.Seq == 0 {
			of := slices.IndexFunc(m.Events, func(in *store.Event) bool { return in.Position == e.Position })
			m.Events[of].Opening, m.Events[of].Body = e.Opening, bytes.Clone(e.Body)
		}
	}
	commit(t, s, b)
	check(t, m, s)
	b = m.Next(0)
	b.Erase = append(b.Erase, store.Erasure{Account: gap.Account, Before: 2})
	m.forget(b.Erase[len(b.Erase)-1])
	commit(t, s, b)
	check(t, m, s)
}

func testPurge(t *testing.T, create Create) {
	s, reopen := create(t)
	m := NewModel(6)
	purge := func(want bool) {
		t.Helper()
		if n, err := s.Purge(t.Context()); err != nil || n > 0 != want {
			t.Errorf("purged %d erasures, %v; want some: %v", n, err, want)
		}
		check(t, m, s)
	}
	purge(false)
	for range 3 {
		commit(t, s, m.Next(100))
	}
	s = reopen()
	purge(true)
	purge(false)
	s = reopen()
	purge(false)
	commit(t, s, m.Next(100))
	purge(true)
}
