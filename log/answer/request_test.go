package answer_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/name"
)

func request(size uint64, known byte, asks ...[]byte) []byte {
	b := binary.BigEndian.AppendUint64(nil, size)
	b = append(b, known)
	return append(b, bytes.Join(asks, nil)...)
}

func ask(account byte, kind byte, k, most uint32) []byte {
	b := append(make([]byte, 31), account, kind)
	b = binary.BigEndian.AppendUint32(b, k)
	return binary.BigEndian.AppendUint32(b, most)
}

func TestParseRequest(t *testing.T) {
	many := func(n int) [][]byte {
		var asks [][]byte
		for i := range n {
			a := ask(byte(i), 0, 0, 1)
			a[0] = byte(i >> 8)
			asks = append(asks, a)
		}
		return asks
	}
	for _, c := range []struct {
		name string
		data []byte
		ok   bool
	}{
		{"first", request(0, 0, ask(1, 0, 0, 1)), true},
		{"returning", request(2, 1, ask(1, 1, 7, 190)), true},
		{"returning to seq 0", request(2, 1, ask(1, 1, 0, 1)), true},
		{"history without a checkpoint", request(0, 1, ask(1, 2, 0, 1)), true},
		{"200 accounts", request(0, 0, many(200)...), true},
		{"201 accounts", request(0, 0, many(201)...), false},
		{"no account", request(0, 0), false},
		{"empty", nil, false},
		{"size 1", request(1, 1, ask(1, 0, 0, 1)), false},
		{"size 2^63", request(1<<63, 1, ask(1, 0, 0, 1)), false},
		{"a size without GENESIS", request(2, 0, ask(1, 0, 0, 1)), false},
		{"genesis known 2", request(2, 2, ask(1, 0, 0, 1)), false},
		{"genesis known 2 without a size", request(0, 2, ask(1, 0, 0, 1)), false},
		{"an account twice", request(0, 0, ask(1, 0, 0, 1), ask(1, 2, 0, 1)), false},
		{"unknown kind", request(0, 0, ask(1, 3, 0, 1)), false},
		{"a seq for a first lookup", request(0, 0, ask(1, 0, 1, 1)), false},
		{"a seq for a history", request(0, 0, ask(1, 2, 1, 1)), false},
		{"seq 2^32-1", request(0, 0, ask(1, 1, 1<<32-1, 1)), false},
		{"most 0", request(0, 0, ask(1, 0, 0, 0)), false},
		{"cut short", request(0, 0, ask(1, 0, 0, 1)[:40]), false},
		{"a byte too many", append(request(0, 0, ask(1, 0, 0, 1)), 0), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := answer.ParseRequest(c.data)
			if (err == nil) != c.ok || err != nil && !errors.Is(err, answer.ErrRequest) {
				t.Errorf("%v, want accepted: %v", err, c.ok)
			}
			if err == nil && !bytes.Equal(r.Bytes(), c.data) {
				t.Errorf("encodes to %x", r.Bytes())
			}
		})
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add(request(0, 0, ask(1, 0, 0, 1)))
	f.Add(request(9, 1, ask(1, 1, 3, 190), ask(2, 2, 0, 5)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := answer.ParseRequest(data); err == nil && !bytes.Equal(r.Bytes(), data) {
			t.Errorf("%x encodes to %x", data, r.Bytes())
		}
	})
}

func FuzzParsePublished(f *testing.F) {
	good, err := (&answer.Published{Seq: 1, Position: 2, Note: []byte("n"), Opening: name.Opening{1}}).Bytes()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := answer.ParsePublished(data)
		if err != nil {
			return
		}
		if again, err := p.Bytes(); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%x encodes to %x, %v", data, again, err)
		}
	})
}

func FuzzParseDurable(f *testing.F) {
	good, err := (&answer.Durable{Seq: 1, Note: []byte("n"), Opening: name.Opening{1}}).Bytes()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(append(good, 0))
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := answer.ParseDurable(data)
		if err != nil {
			return
		}
		if again, err := d.Bytes(); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%x encodes to %x, %v", data, again, err)
		}
	})
}
