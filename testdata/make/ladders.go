package main

import "slices"

type ladderFile struct {
	Ladders  []ladder   `json:"ladders"`
	Required []required `json:"required"`
}

type ladder struct {
	N     int64    `json:"n"`
	Rungs []uint32 `json:"rungs"`
}

type required struct {
	Name    string   `json:"name"`
	N       int64    `json:"n"`
	K       *int64   `json:"k"`
	O       int64    `json:"o"`
	P       int64    `json:"p"`
	Present []uint32 `json:"present"`
	Absent  []uint32 `json:"absent"`
}

func ladders() (f ladderFile) {
	ns := []int64{100, 127, 128, 189, 1000, 4095, 4096, 1 << 20, 1<<31 - 1, 1 << 31, 1<<32 - 3, 1<<32 - 2}
	for n := int64(-1); n <= 20; n++ {
		f.Ladders = append(f.Ladders, ladder{n, rungs(n)})
	}
	for _, n := range ns {
		f.Ladders = append(f.Ladders, ladder{n, rungs(n)})
	}
	const none = -1
	for _, c := range []struct {
		name       string
		n, k, o, p int64
	}{
		{"unknown account", -1, none, 0, -1},
		{"first lookup, one event", 0, none, 0, 0},
		{"first lookup, the newest event is the anchor", 11, none, 11, 11},
		{"first lookup, the anchor lies behind", 11, none, 9, 11},
		{"first lookup, a page that stops early", 11, none, 4, 7},
		{"returning, nothing new", 11, 11, 12, 11},
		{"returning, one new", 11, 10, 11, 11},
		{"returning, k is no rung", 100, 42, 43, 100},
		{"returning, k is a rung", 100, 63, 64, 70},
		{"returning, an ERASE above k + 1", 100, 42, 99, 100},
		{"returning, a page", 1000, 42, 43, 45},
		{"history", 5, none, 0, 5},
		{"history since ERASE", 20, none, 17, 20},
		{"history, its first page", 1000, none, 0, 2},
		{"the greatest seq", 1<<32 - 2, 1<<32 - 3, 1<<32 - 2, 1<<32 - 2},
	} {
		r := required{Name: c.name, N: c.n, O: c.o, P: c.p, Present: []uint32{}, Absent: []uint32{}}
		if c.k != none {
			r.K = &c.k
			r.Present = append(r.Present, uint32(c.k))
		}
		for v := c.o; v <= c.p; v++ {
			r.Present = append(r.Present, uint32(v))
		}
		for _, v := range rungs(c.n) {
			if int64(v) <= c.n {
				r.Present = append(r.Present, v)
			} else {
				r.Absent = append(r.Absent, v)
			}
		}
		slices.Sort(r.Present)
		slices.Sort(r.Absent)
		r.Present = slices.Compact(r.Present)
		f.Required = append(f.Required, r)
	}
	return f
}

// rungs is Ladder(n) in the words of KEYTRANS, which keeps no interval: powers
// of two less one up to the first above n, then ever smaller powers of two
// added to the greatest of them at or below n, as long as the sum stays at or
// below n.
func rungs(n int64) []uint32 {
	out := []uint32{0}
	if n < 0 {
		return out
	}
	step := int64(1) // at the end the first power of two whose rung is above n
	for ; step-1 <= n; step *= 2 {
		if step > 1 {
			out = append(out, uint32(step-1))
		}
	}
	out = append(out, uint32(step-1))
	at := step/2 - 1
	for d := step / 4; d >= 1; d /= 2 {
		out = append(out, uint32(at+d))
		if at+d <= n {
			at += d
		}
	}
	return out
}
