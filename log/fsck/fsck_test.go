package fsck_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/vrf"
)

func TestWholeStore(t *testing.T) {
	r := newRig(t)
	report, found := r.check(r.cfg.VRF)
	if len(found) > 0 {
		t.Fatalf("a good store differs: %q", found)
	}
	if report.Leaves < 300 || report.Events != 11 || report.Accounts != 3 || report.Tiles != 1 || report.Erased != 2 || report.Indexes != 11 ||
		report.Proofs != 11 || report.Notes == 0 || report.Reserved != 2 || report.Epochs != report.Leaves-1-11 || !report.Head || report.Sealed {
		t.Errorf("it looked at %+v", report)
	}
	if report, found = r.check(nil); len(found) > 0 || report.Indexes != 0 {
		t.Errorf("without the VRF key: %q, %+v", found, report)
	}
}

// exempt says which bytes of a row nothing else in the store speaks for.
func exempt(r row, at int) bool {
	switch r.key[0] {
	case 'v':
		return true // Open refuses it
	case 'r': // opening and merge_by stand in a receipt that the log does not keep
		return at >= 36 && at < 60
	}
	return false
}

// TestDamage flips bits in every kind of row, and sees the row named.
func TestDamage(t *testing.T) {
	r := newRig(t)
	seen := make(map[string]int)
	for _, row := range r.rows() {
		kind := string(row.key[:1])
		if kind == "L" {
			kind += fmt.Sprint(row.key[9], row.value[0]&^0xfc, len(row.value) == 65)
		}
		if seen[kind]++; seen[kind] > 3 { // rows of one kind are checked alike
			continue
		}
		step := len(row.value)/6 + 1
		for at := seen[kind] % step; at < len(row.value); at += step {
			if exempt(row, at) || erasedRow(row) && at >= 44 {
				continue
			}
			value := slices.Clone(row.value)
			value[at] ^= 1 << (at % 8)
			r.set(row.key, value)
			_, found := r.check(r.cfg.VRF)
			if !names(found, row) {
				t.Errorf("byte %d of %s changed: %q", at, row, found)
			}
		}
		r.set(row.key, row.value)
	}
	if _, found := r.check(r.cfg.VRF); len(found) > 0 || len(seen) < 13 {
		t.Errorf("%d kinds of rows; after all was put back: %q", len(seen), found)
	}
}

// erasedRow: behind its account, seq and the event before it, the row of an event
// without content says what nothing can confirm any more.
func erasedRow(r row) bool {
	return r.key[0] == 'L' && r.key[9] == 1 && string(r.value[44:60]) == string(make([]byte, 16))
}

// names says whether a difference is of a row, or of a row next to it that
// says that it is missing or another.
func names(found []string, r row) bool {
	return slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, r.String()) })
}

// TestLost drops rows of every kind whose loss shows.
func TestLost(t *testing.T) {
	r := newRig(t)
	seen := make(map[byte]int)
	for _, row := range r.rows() {
		kind := row.key[0]
		if kind == 'L' {
			kind = row.key[9]
		}
		// A proof is a cache; which sizes were published, what was promised to whom,
		// and what is to be purged, is written nowhere else.
		if seen[kind]++; seen[kind] > 4 || strings.ContainsRune("pcrev", rune(kind)) {
			continue
		}
		r.drop(row.key)
		_, found := r.check(nil)
		if !names(found, row) {
			t.Errorf("%s is lost: %q", row, found)
		}
		if row.key[0] == 'L' && strings.Contains(strings.Join(found, "\n"), "lost its tail") {
			t.Errorf("%s is lost, which is no tail: %q", row, found)
		}
		r.set(row.key, row.value)
	}
	if _, found := r.check(nil); len(found) > 0 {
		t.Errorf("after all was put back: %q", found)
	}
}

// TestStray adds rows that nothing leads to.
func TestStray(t *testing.T) {
	r := newRig(t)
	all := r.rows()
	first := func(kind byte) row {
		return all[slices.IndexFunc(all, func(r row) bool { return r.key[0] == kind })]
	}
	moved := func(kind byte, at int) row {
		m := row{slices.Clone(first(kind).key), first(kind).value}
		m.key[at] ^= 0x40
		return m
	}
	account, note := first('h'), first('c')
	other := row{slices.Clone(first('e').key), nil} // of an event that is there, and is no ERASE
	other.key[36] = 0
	n, err := checkpoint.Parse(r.head)
	if err != nil {
		t.Fatal(err)
	}
	n.Size-- // an EVENT is the last leaf there
	between := row{binary.BigEndian.AppendUint64([]byte("c"), n.Size), r.cfg.Signer.Sign(n.Checkpoint)}
	for _, stray := range []row{
		{[]byte("q"), []byte("value")},
		{[]byte{0xff, 1}, nil},
		{[]byte("L"), []byte{1}},
		{append([]byte("L\x00\x00\x00\x00\x00\x00\x00\x01"), 1), first('L').value},     // an event at EPOCH 0
		{append([]byte("L\x00\x00\x00\x00\x00\x00\x01\xff"), 2), make([]byte, 272*32)}, // a tile with too few leaves
		{append([]byte("L\x00\x00\x00\x00\x00\x00\x00\xfe"), 2), make([]byte, 272*32)}, // a tile that ends nowhere
		{append([]byte("L\x00\x00\x00\x00\x00\x00\x0f\xff"), 0), first('L').value},     // a leaf beyond the end
		moved('h', 1), moved('x', 1), moved('p', 1), moved('c', 1), between,
		moved('e', 1), moved('e', 36), other,
		{[]byte{'r', 8: 9}, first('r').value}, // promised twice
	} {
		r.set(stray.key, stray.value)
		if _, found := r.check(nil); !names(found, stray) {
			t.Errorf("%s: %q", stray, found)
		}
		r.drop(stray.key)
	}
	// Rows that are whole, but of another account or size.
	i := slices.IndexFunc(all, func(r row) bool { return r.key[0] == 'h' && string(r.key) > string(account.key) })
	for _, swap := range []row{{all[i].key, account.value}, {account.key, all[i].value}, {nextNote(all, note).key, note.value}} {
		before := all[slices.IndexFunc(all, func(r row) bool { return string(r.key) == string(swap.key) })]
		r.set(swap.key, swap.value)
		if _, found := r.check(nil); !names(found, swap) {
			t.Errorf("%s has another's value: %q", swap, found)
		}
		r.set(before.key, before.value)
	}
	if _, found := r.check(nil); len(found) > 0 {
		t.Errorf("after all was put back: %q", found)
	}
}

func nextNote(all []row, after row) row {
	return all[slices.IndexFunc(all, func(r row) bool { return r.key[0] == 'c' && string(r.key) > string(after.key) })]
}

// TestRules: what breaks a rule is told in the rule's words, whoever else
// notices the change.
func TestRules(t *testing.T) {
	r := newRig(t)
	var epoch, event, content row // the last of each
	for _, row := range r.rows() {
		switch {
		case row.key[0] == 'L' && row.key[9] == 0 && row.value[0] == 2:
			epoch = row
		case row.key[0] == 'L' && row.key[9] == 0 && row.value[0] == 1:
			event = row
		case row.key[0] == 'L' && row.key[9] == 1:
			content = row
		}
	}
	for _, c := range []struct {
		row  row
		at   int
		vrf  *vrf.PrivateKey
		want string
	}{
		{epoch, 33, nil, "its events give"},
		{epoch, 8, nil, "events, want"},
		{epoch, 9, nil, "time is not above"},
		{epoch, 24, nil, "events, want"},
		{epoch, 32, nil, "events, want"},
		{epoch, 33, nil, "was published, the leaves give"},
		{epoch, 33, nil, "signed head: it has root"},
		{event, 1, r.cfg.VRF, "its index is not the one of its account"},
		{event, 1, nil, "its index is not the one that row p"},
		{event, 1, nil, "they do not fit together"},
		{event, 40, nil, "do not give the commitment"},
		{content, 44, nil, "do not give the commitment"},
		{content, 63, nil, "but the account has"},
		{content, 0, nil, "says that the event before it is at position"},
		{content, 0, nil, "should be at position 0: it is lost"},
	} {
		value := slices.Clone(c.row.value)
		value[c.at] ^= 0xff
		if c.want == "time is not above" || strings.HasSuffix(c.want, "position 0: it is lost") {
			copy(value[c.at:c.at+8], make([]byte, 8))
		}
		r.set(c.row.key, value)
		if _, found := r.check(c.vrf); !strings.Contains(strings.Join(found, "\n"), c.want) {
			t.Errorf("byte %d of %s changed: %q, want one that says %q", c.at, c.row, found, c.want)
		}
		r.set(c.row.key, c.row.value)
	}
}

// TestHead holds the store against signed heads that are not its own.
func TestHead(t *testing.T) {
	r := newRig(t)
	own := r.head
	n, err := checkpoint.Parse(own)
	if err != nil {
		t.Fatal(err)
	}
	ahead, fork := n.Checkpoint, n.Checkpoint
	ahead.Size += 3
	fork.Root[0] ^= 1
	var old []byte
	for _, row := range r.rows() {
		if row.key[0] == 'c' && old == nil {
			old = row.value
		}
	}
	stranger, err := checkpoint.NewSigner(string(origin), liar.Seed("stranger"))
	if err != nil {
		t.Fatal(err)
	}
	for what, head := range map[string][]byte{
		"lost its tail":  r.cfg.Signer.Sign(ahead),
		"has root":       r.cfg.Signer.Sign(fork),
		"not signed by":  stranger.Sign(n.Checkpoint),
		"is an old copy": old,
		"reading ":       []byte("no note"),
	} {
		r.head = head
		if _, found := r.check(nil); len(found) != 1 || !strings.Contains(found[0], "signed head") || !strings.Contains(found[0], what) {
			t.Errorf("%s: %q", what, found)
		}
	}
	r.head = nil
	if report, found := r.check(nil); len(found) > 0 || report.Head {
		t.Errorf("without a head: %q", found)
	}
}
