// Package testdata_test puts every vector through every entry point of the
// packages that it concerns. README.md says what the files' members mean.
//
// The go command leaves folders of this name out of ./..., so name it:
//
//	go test ./testdata
package testdata_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/commitment"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/vrf"
)

const (
	origin = name.Origin("keys.example.org/log1")
	start  = uint64(1_790_000_000_000)
)

// hexed and based are bytes as the files write them.
type (
	hexed []byte
	based []byte
)

func (h *hexed) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func (b *based) UnmarshalText(text []byte) (err error) {
	*b, err = base64.StdEncoding.Strict().DecodeString(string(text))
	return err
}

// h32 is 32 bytes, or a panic in a test.
func h32(h hexed) [32]byte { return [32]byte(h) }

// read takes a file in; members that the test does not know are an error.
func read(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("vectors", file))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// least guards against files that lost their vectors.
func least(t *testing.T, what string, n, want int) {
	t.Helper()
	if n < want {
		t.Errorf("%d %s, want at least %d", n, what, want)
	}
}

// The files are what the generator writes now, and it writes the same twice.
func TestVectorsAreFresh(t *testing.T) {
	again := t.TempDir()
	// The go command repeats a cached result unless a file changed that the
	// test read: so it reads what the generator is made of.
	sources, err := filepath.Glob("make/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(sources, "libsignal/accounts.ndjson") {
		if _, err := os.ReadFile(s); err != nil {
			t.Fatal(err)
		}
	}
	run := exec.Command("go", "run", "./testdata/make", again)
	run.Dir = ".."
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("go run ./testdata/make: %v\n%s", err, out)
	}
	for _, pair := range [][2]string{{again, "vectors"}, {"vectors", again}} {
		files, err := os.ReadDir(pair[0])
		if err != nil {
			t.Fatal(err)
		}
		least(t, "files", len(files), 8)
		for _, f := range files {
			one, err := os.ReadFile(filepath.Join(pair[0], f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			other, err := os.ReadFile(filepath.Join(pair[1], f.Name()))
			if err != nil || !bytes.Equal(one, other) {
				t.Errorf("%s is stale, run: make vectors", f.Name())
			}
		}
	}
}

func TestLeaves(t *testing.T) {
	var f struct {
		Good []struct {
			Name, Kind                   string
			Leaf, Hash                   hexed
			Origin                       name.Origin
			VRFKey                       hexed `json:"vrf_public_key"`
			Predecessor                  string
			Index, Commitment            hexed
			Epoch, First, Keys, Position uint64 `json:",string"`
			TimeMs                       uint64 `json:"time_ms,string"`
			PrefixRoot                   hexed  `json:"prefix_root"`
			Successor                    name.Origin
		}
		Bad []struct {
			Name, Why string
			Leaf      hexed
		}
	}
	read(t, "leaves.json", &f)
	least(t, "good leaves", len(f.Good), 10)
	least(t, "bad leaves", len(f.Bad), 20)
	for _, v := range f.Good {
		l, err := leaf.Parse(v.Leaf)
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		var want leaf.Leaf
		switch v.Kind {
		case "GENESIS":
			want = &leaf.Genesis{Origin: v.Origin, VRFKey: h32(v.VRFKey), Predecessor: v.Predecessor}
		case "EVENT":
			want = &leaf.Event{Index: h32(v.Index), Commitment: h32(v.Commitment)}
		default:
			e := &leaf.Epoch{Epoch: v.Epoch, TimeMs: v.TimeMs, First: v.First, Keys: v.Keys, PrefixRoot: h32(v.PrefixRoot), Sealed: v.Kind == "SEAL", Successor: v.Successor}
			if want = e; e.Position() != v.Position {
				t.Errorf("%s: position %d, want %d", v.Name, e.Position(), v.Position)
			}
		}
		if !bytes.Equal(want.Bytes(), v.Leaf) || !bytes.Equal(l.Bytes(), v.Leaf) {
			t.Errorf("%s: encodes to %x and %x, want %x", v.Name, want.Bytes(), l.Bytes(), v.Leaf)
		}
		if leaf.HashOf(v.Leaf) != h32(v.Hash) || !bytes.Equal(rfc6962.DefaultHasher.HashLeaf(v.Leaf), v.Hash) {
			t.Errorf("%s: hash %x, want %x", v.Name, leaf.HashOf(v.Leaf), v.Hash)
		}
	}
	for _, v := range f.Bad {
		if l, err := leaf.Parse(v.Leaf); err == nil {
			t.Errorf("%s: read as %+v", v.Name, l)
		}
	}
}

func TestOpenings(t *testing.T) {
	type named struct {
		Name, Why, Text string
		ID              hexed
	}
	type opened struct {
		Name, Why  string
		Account    hexed `json:"account_id"`
		Seq        uint32
		Opening    hexed
		Event      based
		Commitment hexed
		Index      hexed
		Position   uint64 `json:",string"`
		Value      hexed
		PrefixLeaf hexed `json:"prefix_leaf"`
		LeafHash   hexed `json:"leaf_hash"`
	}
	var f struct {
		Origins, Identifiers []named
		Keys                 []struct {
			Name, Why      string
			Secret, Public hexed
			OK             bool
		} `json:"vrf_keys"`
		Indexes []struct {
			Name    string
			Secret  hexed `json:"vrf_secret"`
			Public  hexed `json:"vrf_public"`
			Account hexed `json:"account_id"`
			Seq     uint32
			Alpha   hexed
			Proof   hexed `json:"vrf_proof"`
			Index   hexed
		}
		BadProofs []struct {
			Name, Why string
			Public    hexed `json:"vrf_public"`
			Alpha     hexed
			Proof     hexed `json:"vrf_proof"`
		} `json:"vrf_refused"`
		Openings []opened
		Refused  []opened `json:"openings_refused"`
	}
	read(t, "openings.json", &f)
	least(t, "names", len(f.Origins)+len(f.Identifiers), 24)
	least(t, "VRF vectors", len(f.Keys)+len(f.Indexes)+len(f.BadProofs), 20)
	least(t, "openings", len(f.Openings)+len(f.Refused), 10)
	for _, v := range f.Origins {
		o, err := name.ParseOrigin(v.Text)
		if id := o.LogID(); (err == nil) != (v.Why == "") || err == nil && !bytes.Equal(id[:], v.ID) {
			t.Errorf("origin, %s: %v", v.Name, err)
		}
	}
	for _, v := range f.Identifiers {
		i, err := name.ParseIdentifier(v.Text)
		if id := i.AccountID(); (err == nil) != (v.Why == "") || err == nil && !bytes.Equal(id[:], v.ID) {
			t.Errorf("identifier, %s: %v", v.Name, err)
		}
	}
	for _, v := range f.Keys {
		if _, err := vrf.ParsePublicKey(h32(v.Public)); (err == nil) != v.OK {
			t.Errorf("VRF key, %s: %v", v.Name, err)
		}
		if len(v.Secret) > 0 && vrf.NewPrivateKey(h32(v.Secret)).Public() != h32(v.Public) {
			t.Errorf("VRF key, %s: another public key", v.Name)
		}
	}
	for _, v := range f.Indexes {
		alpha := name.AccountID(v.Account).Label().VRFInput(v.Seq)
		private := vrf.NewPrivateKey(h32(v.Secret))
		proof, index := private.Prove(alpha)
		public, err := vrf.ParsePublicKey(h32(v.Public))
		if err != nil {
			t.Fatal(err)
		}
		verified, err := public.Verify(v.Alpha, (*vrf.Proof)(v.Proof))
		if !bytes.Equal(alpha, v.Alpha) || !bytes.Equal(proof[:], v.Proof) || err != nil ||
			index != h32(v.Index) || verified != h32(v.Index) || private.Evaluate(alpha) != h32(v.Index) {
			t.Errorf("index, %s: proof %x, index %s, %v", v.Name, proof, index, err)
		}
	}
	for _, v := range f.BadProofs {
		public, err := vrf.ParsePublicKey(h32(v.Public))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := public.Verify(v.Alpha, (*vrf.Proof)(v.Proof)); err == nil {
			t.Errorf("VRF proof, %s: accepted", v.Name)
		}
	}
	for _, v := range f.Openings {
		label := name.AccountID(v.Account).Label()
		c := commitment.Commit(name.Opening(v.Opening), label, v.Seq, v.Event)
		if c != h32(v.Commitment) || commitment.Verify(c, name.Opening(v.Opening), label, v.Seq, v.Event) != nil {
			t.Errorf("opening, %s: commitment %s", v.Name, c)
		}
		value := prefix.Value(v.Position, c)
		l := leaf.Event{Index: h32(v.Index), Commitment: c}
		if value != h32(v.Value) || prefix.LeafHash(h32(v.Index), value) != h32(v.PrefixLeaf) || leaf.HashOf(l.Bytes()) != h32(v.LeafHash) {
			t.Errorf("opening, %s: value %s", v.Name, value)
		}
	}
	for _, v := range f.Refused {
		if commitment.Verify(h32(v.Commitment), name.Opening(v.Opening), name.AccountID(v.Account).Label(), v.Seq, v.Event) == nil {
			t.Errorf("opening, %s: accepted", v.Name)
		}
	}
}

type query struct {
	Index   hexed
	Present bool
	Value   hexed
}

func asked(queries []query) (out []prefix.Query, indexes []name.Index) {
	for _, q := range queries {
		p := prefix.Query{Index: h32(q.Index), Present: q.Present}
		if q.Present {
			p.Value = h32(q.Value)
		}
		out, indexes = append(out, p), append(indexes, p.Index)
	}
	return out, indexes
}

// readProof wants nothing behind the proof.
func readProof(data []byte) *prefix.Proof {
	s := cryptobyte.String(data)
	p, err := prefix.ReadProof(&s)
	if err != nil || !s.Empty() {
		return nil
	}
	return p
}

func TestPrefix(t *testing.T) {
	var f struct {
		Trees []struct {
			Name   string
			Leaves []struct{ Index, Value hexed }
			Root   hexed
			Proofs []struct {
				Name    string
				Queries []query
				Proof   based
			}
		}
		Refused []struct {
			Name, Why string
			Root      hexed
			Queries   []query
			Proof     based
		}
		Form []struct {
			Name, Why string
			Proof     hexed
		}
	}
	read(t, "prefix.json", &f)
	least(t, "trees", len(f.Trees), 6)
	least(t, "refused proofs", len(f.Refused)+len(f.Form), 40)
	for _, v := range f.Trees {
		log := &liar.Log{Shown: map[name.Index]liar.Entry{}}
		for i, l := range v.Leaves {
			log.Shown[h32(l.Index)] = liar.Entry{Value: h32(l.Value), Position: uint64(i)}
		}
		var err error
		if log.Tree, err = prefix.Build(log.PrefixLeaves(), 1<<62); err != nil || log.Tree.Root() != h32(v.Root) {
			t.Fatalf("%s: root %s, %v, want %x", v.Name, log.Tree.Root(), err, v.Root)
		}
		for _, c := range v.Proofs {
			queries, indexes := asked(c.Queries)
			p := readProof(c.Proof)
			if p == nil || !bytes.Equal(p.Bytes(), c.Proof) {
				t.Fatalf("%s, %s: not read, or written otherwise", v.Name, c.Name)
			}
			if err := prefix.Verify(h32(v.Root), queries, p); err != nil {
				t.Errorf("%s, %s: %v", v.Name, c.Name, err)
			}
			if made, err := log.Show(indexes); err != nil || !bytes.Equal(made.Bytes(), c.Proof) {
				t.Errorf("%s, %s: proven otherwise, %v", v.Name, c.Name, err)
			}
			other := h32(v.Root)
			other[31] ^= 1
			if prefix.Verify(other, queries, p) == nil {
				t.Errorf("%s, %s: accepted for another root", v.Name, c.Name)
			}
		}
	}
	for _, v := range f.Refused {
		queries, _ := asked(v.Queries)
		p := readProof(v.Proof)
		if p == nil {
			t.Errorf("%s: not read", v.Name)
		} else if prefix.Verify(h32(v.Root), queries, p) == nil {
			t.Errorf("%s: accepted", v.Name)
		}
	}
	for _, v := range f.Form {
		if readProof(v.Proof) != nil {
			t.Errorf("form, %s: read", v.Name)
		}
	}
}

func TestLadders(t *testing.T) {
	var f struct {
		Ladders []struct {
			N     int64
			Rungs []uint32
		}
		Required []struct {
			Name            string
			N, O, P         int64
			K               *int64
			Present, Absent []uint32
		}
	}
	read(t, "ladders.json", &f)
	least(t, "ladders", len(f.Ladders), 30)
	least(t, "required sets", len(f.Required), 15)
	for _, v := range f.Ladders {
		if got := prefix.Ladder(v.N); !slices.Equal(got, v.Rungs) {
			t.Errorf("Ladder(%d) = %v, want %v", v.N, got, v.Rungs)
		}
	}
	for _, v := range f.Required {
		k := int64(-1)
		if v.K != nil {
			k = *v.K
		}
		if got := prefix.Required(v.N, k, v.O, v.P); !slices.Equal(got.Present, v.Present) || !slices.Equal(got.Absent, v.Absent) {
			t.Errorf("%s: %v, want %v and %v", v.Name, got, v.Present, v.Absent)
		}
	}
}

// Every folder and file of vectors is explained in README.md.
func TestReadmeNamesEverything(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"*", "*/*.json", "*/*.txt", "*/*.ndjson"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if info, err := os.Stat(f); err == nil && (info.IsDir() || pattern != "*") && !bytes.Contains(readme, []byte("`"+f)) && !bytes.Contains(readme, []byte(filepath.Base(f)+"`")) {
				t.Errorf("README.md does not speak of %s", f)
			}
		}
	}
}
