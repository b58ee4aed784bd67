package log_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/musterlog/muster/log/commitment"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/vrf"
)

// The public leaves of a crowd: what everybody sees, and whose they are.
type crowd struct {
	leaves [][64]byte // index, commitment
	owner  []int      // of each leaf: a place in ids
	ids    []name.AccountID
	key    [32]byte // the VRF's public one
}

var content = []byte("the same event for everybody")

// drawn is an opening as the log draws it, but for the seed.
func drawn(random *rand.ChaCha8) (o name.Opening) {
	random.Read(o[:])
	return o
}

// crowdOf has so many events of a hundredth as many accounts, in an order that
// follows from the seed, all with one content: what is alike stays so if anything
// does.
func crowdOf(n int, draw func(*rand.ChaCha8) name.Opening) *crowd {
	private := vrf.NewPrivateKey(liar.Seed("unlinkable"))
	random := rand.NewChaCha8(liar.Seed("unlinkable, openings"))
	order := rand.New(rand.NewPCG(1, 2))
	c := &crowd{leaves: make([][64]byte, n), key: private.Public()}
	for i := range max(n/100, 2) {
		c.ids = append(c.ids, name.Identifier(fmt.Sprintf("+1555%07d", i)).AccountID())
	}
	next := make([]uint32, len(c.ids))
	for at := 0; at < n; at += 64 {
		var alphas [][]byte
		for i := at; i < min(at+64, n); i++ {
			who := order.IntN(len(c.ids))
			c.owner = append(c.owner, who)
			label, seq := c.ids[who].Label(), next[who]
			next[who]++
			alphas = append(alphas, label.VRFInput(seq))
			commits := commitment.Commit(draw(random), label, seq, content)
			copy(c.leaves[i][32:], commits[:])
		}
		for i, index := range private.EvaluateAll(alphas) {
			copy(c.leaves[at+i][:], index[:])
		}
	}
	return c
}

// statistics are what leaves without a secret in them pass: each gives the
// probability of leaves at least as odd as these, if they were random.
var statistics = map[string]func(*crowd) float64{
	"bits": func(c *crowd) float64 {
		ones := 0
		for _, l := range c.leaves {
			ones += weight(l[:])
		}
		n := float64(len(c.leaves) * 512)
		return both((float64(ones) - n/2) / math.Sqrt(n/4))
	},
	"bits by their place": func(c *crowd) float64 {
		var ones [512]float64
		for _, l := range c.leaves {
			for i := range ones {
				ones[i] += float64(l[i/8] >> (i % 8) & 1)
			}
		}
		return chiSquare(ones[:], float64(len(c.leaves))/2, float64(len(c.leaves))/4, 512)
	},
	"bytes": func(c *crowd) float64 {
		var count [256]float64
		for _, l := range c.leaves {
			for _, b := range l {
				count[b]++
			}
		}
		expected := float64(len(c.leaves)*64) / 256
		return chiSquare(count[:], expected, expected, 255)
	},
	"bytes by their place": func(c *crowd) float64 {
		var count [64 * 256]float64
		for _, l := range c.leaves {
			for i, b := range l {
				count[i*256+int(b)]++
			}
		}
		expected := float64(len(c.leaves)) / 256
		return chiSquare(count[:], expected, expected, 64*255)
	},
	"a leaf and the next": func(c *crowd) float64 {
		return distances(c, func(at int) int { return at - 1 })
	},
	"a leaf and its account's one before": func(c *crowd) float64 {
		last := map[int]int{}
		return distances(c, func(at int) int {
			before, ok := last[c.owner[at]]
			last[c.owner[at]] = at
			if !ok {
				return -1
			}
			return before
		})
	},
	"the longest prefix that two share": func(c *crowd) float64 {
		p := 1.0
		for _, from := range []int{0, 32} {
			all := make([][]byte, len(c.leaves))
			for i := range c.leaves {
				all[i] = c.leaves[i][from:][:32]
			}
			slices.SortFunc(all, bytes.Compare)
			longest := 0
			for i := range all[1:] {
				a, b := binary.BigEndian.Uint64(all[i]), binary.BigEndian.Uint64(all[i+1])
				longest = max(longest, bits.LeadingZeros64(a^b))
			}
			n := float64(len(all)) // the birthday bound: pairs that share so much
			p = min(p, 1-math.Exp(-n*(n-1)/2*math.Exp2(-float64(longest))))
		}
		return p
	},
	"a guesser with all ids": func(c *crowd) float64 {
		p := 1.0
		for _, guess := range guesses {
			for _, from := range []int{0, 32} {
				p = min(p, c.hits(guess, from))
			}
		}
		return min(1, p*float64(2*len(guesses)))
	},
}

// guesses are what somebody may compute who knows all ids and public keys.
var guesses = []func(c *crowd, id name.AccountID) [32]byte{
	func(_ *crowd, id name.AccountID) [32]byte { return id },
	func(_ *crowd, id name.AccountID) [32]byte { return sha256.Sum256(id[:]) },
	func(_ *crowd, id name.AccountID) [32]byte { return sha256.Sum256(id.Label().VRFInput(0)) },
	func(_ *crowd, id name.AccountID) [32]byte {
		return vrf.NewPrivateKey(liar.Seed("the guesser's own")).Evaluate(id.Label().VRFInput(0))
	},
	func(c *crowd, id name.AccountID) [32]byte {
		h := hmac.New(sha256.New, c.key[:])
		h.Write(id.Label().VRFInput(0))
		return [32]byte(h.Sum(nil))
	},
	func(_ *crowd, id name.AccountID) [32]byte {
		return commitment.Commit(name.Opening{}, id.Label(), 0, content)
	},
}

// hits is the probability of as many right guesses by chance, where each leaf is
// taken for the account whose guess is nearest.
func (c *crowd) hits(guess func(*crowd, name.AccountID) [32]byte, from int) float64 {
	words := func(b []byte) (w [4]uint64) {
		for i := range w {
			w[i] = binary.LittleEndian.Uint64(b[8*i:])
		}
		return w
	}
	near := make([][4]uint64, len(c.ids))
	for i, id := range c.ids {
		g := guess(c, id)
		near[i] = words(g[:])
	}
	right := 0
	taken, has := make([]float64, len(c.ids)), make([]float64, len(c.ids))
	for at := range c.leaves {
		l := words(c.leaves[at][from:])
		best, who := 257, 0
		for i, g := range near {
			d := bits.OnesCount64(l[0]^g[0]) + bits.OnesCount64(l[1]^g[1]) + bits.OnesCount64(l[2]^g[2]) + bits.OnesCount64(l[3]^g[3])
			if d < best {
				best, who = d, i
			}
		}
		taken[who]++
		has[c.owner[at]]++
		if who == c.owner[at] {
			right++
		}
	}
	chance := 0.0
	for i := range taken {
		chance += taken[i] * has[i] / float64(len(c.leaves))
	}
	return above((float64(right) - chance) / math.Sqrt(chance))
}

// distances compares the bits in which leaves differ from the ones that other names.
func distances(c *crowd, other func(at int) int) float64 {
	differ, n := 0, 0.0
	for at := range c.leaves {
		if o := other(at); o >= 0 {
			for i := range c.leaves[at] {
				differ += bits.OnesCount8(c.leaves[at][i] ^ c.leaves[o][i])
			}
			n += 512
		}
	}
	return both((float64(differ) - n/2) / math.Sqrt(n/4))
}

func weight(b []byte) (n int) {
	for _, x := range b {
		n += bits.OnesCount8(x)
	}
	return n
}

// above is the probability of a normal deviate of z or more; both, of one so far off.
func above(z float64) float64 { return math.Erfc(z/math.Sqrt2) / 2 }
func both(z float64) float64  { return math.Erfc(math.Abs(z) / math.Sqrt2) }

// chiSquare is the probability of counts as far from what is expected, or as
// near (Wilson and Hilferty's approximation: freedom is in the hundreds).
func chiSquare(counts []float64, expected, variance, freedom float64) float64 {
	x := 0.0
	for _, n := range counts {
		x += (n - expected) * (n - expected) / variance
	}
	k := 2 / (9 * freedom)
	return both((math.Cbrt(x/freedom) - (1 - k)) / math.Sqrt(k))
}

// improbable is what the leaves of a fixed seed must not be.
const improbable = 0.001

// TestUnlinkable: from the public leaves alone nobody tells anything, neither which
// are of one account nor whose. MUSTER_TEST_LEAVES says of how many; make torture takes 100,000.
func TestUnlinkable(t *testing.T) {
	n := 5000
	if text := os.Getenv("MUSTER_TEST_LEAVES"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	c := crowdOf(n, drawn)
	for what, statistic := range statistics {
		if p := statistic(c); p < improbable {
			t.Errorf("%s: chance alone does so with probability %.2g", what, p)
		} else {
			t.Logf("%s: p = %.3f", what, p)
		}
	}
	t.Logf("count leaves %d", n)
}

// spoilers do to leaves what a careless log might, and name the statistics that
// must see it.
var spoilers = map[string]struct {
	spoil func(*crowd)
	seen  []string
}{
	"a bit that is mostly clear": {func(c *crowd) {
		for i := range c.leaves {
			if i%4 != 0 {
				c.leaves[i][7] &^= 4
			}
		}
	}, []string{"bits by their place", "bytes by their place"}},
	"a byte that is no digit": {func(c *crowd) {
		for i := range c.leaves {
			for j := range c.leaves[i] {
				if c.leaves[i][j] == 0x42 {
					c.leaves[i][j] = 0x41
				}
			}
		}
	}, []string{"bytes", "bytes by their place"}},
	"more ones than zeros": {func(c *crowd) {
		for i := range c.leaves {
			c.leaves[i][i%64] |= 3
		}
	}, []string{"bits"}},
	"an index that takes over from the one before": {func(c *crowd) {
		for i := range c.leaves[1:] {
			c.leaves[i+1][20] = c.leaves[i][20]
			c.leaves[i+1][21] = c.leaves[i][21]
		}
	}, []string{"a leaf and the next"}},
	"an index of the account, not of its event": {func(c *crowd) {
		first := map[int][64]byte{}
		for i, who := range c.owner {
			if _, ok := first[who]; !ok {
				first[who] = c.leaves[i]
			}
			before := first[who]
			copy(c.leaves[i][:32], before[:])
		}
	}, []string{"a leaf and its account's one before", "the longest prefix that two share"}},
	"two bytes of the account_id in the index": {func(c *crowd) {
		for i, who := range c.owner {
			copy(c.leaves[i][:2], c.ids[who][:2])
		}
	}, []string{"a guesser with all ids", "a leaf and its account's one before"}},
	"no opening": {func(c *crowd) {
		*c = *crowdOf(len(c.leaves), func(*rand.ChaCha8) (o name.Opening) { return o })
	}, []string{"a guesser with all ids"}},
}

// TestStatisticsSee: each statistic falls for a leaf that tells something.
func TestStatisticsSee(t *testing.T) {
	seen, clean := map[string]bool{}, crowdOf(5000, drawn)
	for what, s := range spoilers {
		c := *clean
		c.leaves = slices.Clone(clean.leaves)
		s.spoil(&c)
		for _, statistic := range s.seen {
			seen[statistic] = true
			if p := statistics[statistic](&c); p >= improbable {
				t.Errorf("%s: %s has p = %.2g", what, statistic, p)
			}
		}
	}
	if len(seen) != len(statistics) {
		t.Errorf("%d of %d statistics were put to a test", len(seen), len(statistics))
	}
}
