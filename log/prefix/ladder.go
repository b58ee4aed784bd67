package prefix

import (
	"fmt"
	"slices"
)

// maxNewest is the largest seq that an event can have (section 1).
const maxNewest = 1<<32 - 2

// Ladder is the KEYTRANS base binary ladder (section 5): the seqs that tell
// that n is an account's newest, in the order in which a search meets them.
// It is {0} for n = −1, an unknown account. It holds n and n+1, at most 64
// seqs, and panics if n is not in −1..2^32−2.
//
//	append 2^k − 1, k = 0, 1, …, through the first above n (hi; the one before is lo);
//	while hi − lo > 1: mid = (lo + hi) / 2; append mid; if mid <= n then lo = mid else hi = mid
//
// It is a binary search: who believes in another newest seq m searches the
// same way up to the first seq between the two, and there one of them was
// shown a presence and the other an absence. So two parties can never both be
// deceived without holding a contradiction.
func Ladder(n int64) []uint32 {
	if n < -1 || n > maxNewest {
		panic(fmt.Sprintf("prefix: ladder of %d: want -1 to 2^32-2", n))
	}
	ladder := []uint32{0}
	if n == -1 {
		return ladder
	}
	lo, hi := int64(0), int64(0)
	for hi <= n {
		lo, hi = hi, 2*hi+1
		ladder = append(ladder, uint32(hi))
	}
	for hi-lo > 1 {
		mid := (lo + hi) / 2
		ladder = append(ladder, uint32(mid))
		if mid <= n {
			lo = mid
		} else {
			hi = mid
		}
	}
	return ladder
}

// Set is the seqs of an account that an answer must speak of, ascending.
type Set struct {
	Present []uint32 // the tree holds each of them
	Absent  []uint32 // the tree holds none of them
}

// Required is what every answer has to prove, the same for prover and verifier
// (section 5):
//
//	present = {v in Ladder(n): v <= n} ∪ {k} ∪ {o..p}
//	absent  = {v in Ladder(n): v > n}
//
// n is the newest seq, −1 for an unknown account; k the seq that the client
// accepted before, −1 for none; o..p what is opened, nothing if o > p. All are
// at most n, and o at least 0 unless nothing is opened. The set is as large as
// o..p, so who takes o and p from an answer bounds them first.
func Required(n, k, o, p int64) Set {
	var s Set
	for _, v := range Ladder(n) {
		if int64(v) <= n {
			s.Present = append(s.Present, v)
		} else {
			s.Absent = append(s.Absent, v)
		}
	}
	if k >= 0 {
		s.Present = append(s.Present, uint32(k))
	}
	for v := o; v <= p; v++ {
		s.Present = append(s.Present, uint32(v))
	}
	slices.Sort(s.Present)
	s.Present = slices.Compact(s.Present)
	slices.Sort(s.Absent)
	return s
}
