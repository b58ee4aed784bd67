package evidence

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
)

// Verdict is what a file proves, in words for people. It never says who did it
// or why: a key signed, and keys are stolen.
type Verdict struct {
	Party     checkpoint.Key // whose signature convicts
	Role      string         // of the party: log, cosigner or auditor
	Statement string         // what the party did
	How       string         // how we know: what was verified, under this key alone
	NotShown  string         // what nobody may read into it
}

// Misbehaviour is the error of who has caught a liar: the file that a stranger
// can verify, and what it proves. Its holder keeps the file (see File.Name)
// before anything else.
type Misbehaviour struct {
	File    *File
	Verdict *Verdict
}

func (m *Misbehaviour) Error() string { return "misbehaviour: " + m.Verdict.Statement }

// Convict verifies what f shows against the key of the accused, and returns a
// *Misbehaviour, or an error that says why f convicts nobody. It never returns
// nil. Notes in f may be as they were received: of their signature lines the
// Misbehaviour's file keeps the accused's alone, since it proves no other.
func Convict(key checkpoint.Key, f *File) error {
	own, err := Parse(f.reduced(key).Bytes()) // a stranger will have to read it
	if err != nil {
		return fmt.Errorf("convicting %s: %w", key.Name, err)
	}
	v, err := own.Verify(key)
	if err != nil {
		return fmt.Errorf("convicting %s: %w", key.Name, err)
	}
	return &Misbehaviour{own, v}
}

// reduced is f with only this key's signature lines in its notes. A note that
// has none, or is no note, stays as it is: Verify says what is wrong with it.
func (f *File) reduced(key checkpoint.Key) *File {
	r := &File{Kind: f.Kind, Origin: f.Origin}
	for _, l := range f.Lines {
		if b, ok := l.(Note); ok {
			if n, err := checkpoint.Parse(b); err == nil {
				for _, line := range n.Lines {
					if key.Made(line) {
						l = Note(checkpoint.Append([]byte(n.Text+"\n"), line))
					}
				}
			}
		}
		r.Lines = append(r.Lines, l)
	}
	return r
}

// Verify says what the file proves against the holder of key, or why it proves
// nothing: key is the log's vkey for E1 to E7, a cosigner's for W and A. It
// needs nothing else: no network, no clock, no policy.
//
// Every line must be one that the kind needs, in the protocol's order; every
// signature and every proof must be valid. What fails proves nothing, since
// anybody can make a proof that fails.
func (f *File) Verify(key checkpoint.Key) (*Verdict, error) {
	v, err := f.verify(key)
	if err != nil {
		return nil, fmt.Errorf("this %s evidence proves nothing: %w", f.Kind, err)
	}
	return v, nil
}

func (f *File) verify(key checkpoint.Key) (*Verdict, error) {
	if err := f.checkKey(key); err != nil {
		return nil, err
	}
	r := &reader{key: key, origin: f.Origin, lines: f.Lines}
	found, err := judges[f.Kind.base()](r)
	if err != nil {
		return nil, err
	}
	if len(r.lines) > 0 {
		return nil, fmt.Errorf("a %s line more than the kind needs", wordOf(r.lines[0]))
	}
	return f.verdict(key, found), nil
}

// checkKey: a log is accused under its Ed25519 key, whose name is the origin; a
// cosigner under a cosigner's key. A log that has an ML-DSA-44 key signs with
// it under its own name: that is no cosigner.
func (f *File) checkKey(key checkpoint.Key) error {
	own := key.Name == string(f.Origin)
	if !slices.Contains(kinds, f.Kind) {
		return errors.New("unknown kind")
	}
	if f.Kind.accused() == "log" {
		if key.Type != checkpoint.Ed25519 || !own {
			return fmt.Errorf("it accuses log %s, whose Ed25519 key this is not: %s", f.Origin, key)
		}
		return nil
	}
	if key.Type != checkpoint.Cosignature && key.Type != checkpoint.MLDSA44 || own {
		return fmt.Errorf("it accuses a cosigner of log %s, whose key this is not: %s", f.Origin, key)
	}
	return nil
}

// judges has one entry for each kind of section 9.3, and for no other.
var judges = map[Kind]func(*reader) (finding, error){
	E1: judgeRoots, E2: judgeFork, E3: judgeReplaced,
	E4a: judgeDropped, E4b: judgeGhost, E4c: judgeMap,
	E5: judgeLeaves, E6: judgeEvents, E7: judgePromise,
}

// finding is what a judge saw signed, to be read after "signed", and how.
type finding struct{ what, how string }

func (f *File) verdict(key checkpoint.Key, found finding) *Verdict {
	v := &Verdict{Party: key, Role: f.Kind.accused()}
	v.NotShown = "Who did it, and why: this key signed, whoever held it. A restored backup and a theft look like an attack."
	if v.Role == "log" {
		v.Statement = fmt.Sprintf("log %s signed %s", f.Origin, found.what)
		v.How = "Signed by the log's key: " + found.how
		return v
	}
	v.Statement = fmt.Sprintf("%s %s cosigned, for log %s, %s", v.Role, key.Name, f.Origin, found.what)
	v.How = fmt.Sprintf("Cosigned by the %s's key: %s", v.Role, found.how)
	if v.Role == "auditor" {
		v.NotShown = "That this key is an auditor's: a witness vouches for no leaf, so of a witness's key this file proves nothing. The policy's group auditors tells. " + v.NotShown
	}
	return v
}

// reader takes a file's lines in the order in which a judge wants them.
type reader struct {
	key    checkpoint.Key
	origin name.Origin
	lines  []Line
	note   *checkpoint.Note // the one under which leaves are
}

func take[L Line](r *reader) (l L, err error) {
	if len(r.lines) == 0 {
		return l, fmt.Errorf("it ends where a %s line is due", wordOf(l))
	}
	got, ok := r.lines[0].(L)
	if !ok {
		return l, fmt.Errorf("a %s line where a %s line is due", wordOf(r.lines[0]), wordOf(l))
	}
	r.lines = r.lines[1:]
	return got, nil
}

// next says whether the next line is of this type.
func next[L Line](r *reader) bool {
	if len(r.lines) == 0 {
		return false
	}
	_, ok := r.lines[0].(L)
	return ok
}

// wordOf is the first word of a line's type.
func wordOf(l Line) string {
	t := fmt.Sprintf("%T", l)
	return strings.ToLower(t[strings.LastIndex(t, ".")+1:])
}

// signed takes a note: of this origin, with one signature line, which is valid
// and the accused's. Any other line would be a part of the file that nobody
// verifies, and could say anything.
func (r *reader) signed() (*checkpoint.Note, error) {
	l, err := take[Note](r)
	if err != nil {
		return nil, err
	}
	n, err := checkpoint.Parse(l)
	if err != nil {
		return nil, err
	}
	if n.Origin != r.origin {
		return nil, fmt.Errorf("a note of log %s", n.Origin)
	}
	if len(n.Lines) != 1 {
		return nil, fmt.Errorf("a note with %d signature lines: want the accused's alone", len(n.Lines))
	}
	if _, err := r.key.Verify(n.Text, n.Lines[0]); err != nil {
		return nil, fmt.Errorf("note of size %d: %w", n.Size, err)
	}
	r.note = n
	return n, nil
}

// included takes a leaf of the tree of the last note.
func (r *reader) included() (Leaf, error) {
	l, err := take[Leaf](r)
	if err != nil {
		return l, err
	}
	hash := leaf.HashOf(l.Bytes)
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, l.Position, r.note.Size, hash[:], raw(l.Path), r.note.Root[:]); err != nil {
		return l, fmt.Errorf("the inclusion proof of leaf %d does not hold in the tree of size %d", l.Position, r.note.Size)
	}
	return l, nil
}

func raw(hashes []leaf.Hash) [][]byte {
	out := make([][]byte, len(hashes))
	for i := range hashes {
		out[i] = hashes[i][:]
	}
	return out
}

// opened takes a note and GENESIS, included under it: every file whose leaves
// are read begins so. That GENESIS is of this version is what says how to read
// the others: a later version may have other leaves.
func (r *reader) opened() (*leaf.Genesis, error) {
	if _, err := r.signed(); err != nil {
		return nil, err
	}
	l, err := r.included()
	if err != nil {
		return nil, err
	}
	return r.genesis(l)
}

func (r *reader) genesis(l Leaf) (*leaf.Genesis, error) {
	parsed, err := leaf.Parse(l.Bytes)
	if err != nil {
		return nil, err
	}
	g, ok := parsed.(*leaf.Genesis)
	if !ok || l.Position != 0 || g.Origin != r.origin {
		return nil, errors.New("GENESIS of this log is not its first leaf")
	}
	return g, nil
}

// includedAs takes a leaf and reads it as one of type L.
func includedAs[L leaf.Leaf](r *reader) (at Leaf, l L, err error) {
	if at, err = r.included(); err != nil {
		return at, l, err
	}
	parsed, err := leaf.Parse(at.Bytes)
	if err != nil {
		return at, l, err
	}
	l, ok := parsed.(L)
	if !ok {
		return at, l, fmt.Errorf("leaf %d is not of the kind that is due", at.Position)
	}
	return at, l, nil
}
