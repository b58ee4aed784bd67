// Package answer is the canonical bytes that a client asks with and is
// answered in (protocol section 5), and their assembly from one published
// tree. Whether an answer may be believed is package verifier's to decide;
// here its form is checked and nothing else.
//
// An Answer is self-contained: whoever holds the trust policy can verify it,
// so that the messaging server may fetch and forward it.
package answer

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/vrf"
)

// Form says how much a version shows.
type Form uint8

const (
	Absent Form = 0 // no such event: only its index is shown
	Closed Form = 1 // present: position and commitment
	Opened Form = 2 // present, with opening and event
)

const (
	answerVersion = 1
	noSeq         = 1<<32 - 1 // no event has this seq (section 1)
)

// Version is one (account, seq) of an answer.
type Version struct {
	Seq        uint32
	Proof      vrf.Proof
	Form       Form
	Position   uint64 // unless absent
	Commitment name.Commitment
	Opening    name.Opening // opened only
	Event      []byte
}

// Account is what an answer says of one account.
type Account struct {
	ID       name.AccountID
	Events   uint32         // n + 1; 0: the account is unknown
	From, To uint32         // opened: From <= seq < To
	Versions []Version      // all of Required, ascending seq
	Devices  []event.Device // first lookup: the list after the anchor; else empty
}

// Answer is all that an operator says to a client at once.
type Answer struct {
	Note        []byte      // signed checkpoint
	Consistency []leaf.Hash // from the client's size
	Genesis     []byte      // leaf bytes; empty when the client knows it
	Epoch       []byte      // leaf bytes of EPOCH or SEAL at size−1
	Accounts    []Account   // as asked, in that order
	Nodes       []leaf.Hash // one walk proves every used leaf's inclusion
	Proofs      []*prefix.Proof
}

var errForm = errors.New("malformed answer")

// Bytes encodes an answer; it fails only if the answer breaks a limit of its form.
func (a *Answer) Bytes() ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, a.most()))
	b.AddUint16(answerVersion)
	add16(b, a.Note)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { addHashes(b, a.Consistency) })
	add16(b, a.Genesis)
	add16(b, a.Epoch)
	b.AddUint32LengthPrefixed(func(b *cryptobyte.Builder) {
		for i := range a.Accounts {
			a.Accounts[i].add(b)
		}
	})
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { addHashes(b, a.Nodes) })
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, p := range a.Proofs {
			b.AddBytes(p.Bytes())
		}
	})
	return b.Bytes()
}

// most is no less than the length of Bytes, and not much more.
func (a *Answer) most() int {
	n := 32 + len(a.Note) + len(a.Genesis) + len(a.Epoch) + 32*(len(a.Consistency)+len(a.Nodes))
	for i := range a.Accounts {
		account := &a.Accounts[i]
		n += 64 + len(account.Devices)*(8+event.KeySize)
		for j := range account.Versions {
			n += 160 + len(account.Versions[j].Event)
		}
	}
	for _, p := range a.Proofs {
		n += 3 + 66*len(p.Results) + 32*len(p.Elements)
	}
	return n
}

func (a *Account) add(b *cryptobyte.Builder) {
	b.AddBytes(a.ID[:])
	b.AddUint32(a.Events)
	b.AddUint32(a.From)
	b.AddUint32(a.To)
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
		for i := range a.Versions {
			a.Versions[i].add(b)
		}
	})
	event.AddDevices(b, a.Devices)
}

func (v *Version) add(b *cryptobyte.Builder) {
	b.AddUint32(v.Seq)
	b.AddBytes(v.Proof[:])
	b.AddUint8(uint8(v.Form))
	if v.Form == Absent {
		return
	}
	b.AddUint64(v.Position)
	b.AddBytes(v.Commitment[:])
	if v.Form == Opened {
		b.AddBytes(v.Opening[:])
		add16(b, v.Event)
	}
}

func add16(b *cryptobyte.Builder, data []byte) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(data) })
}

func addHashes(b *cryptobyte.Builder, hashes []leaf.Hash) {
	for i := range hashes {
		b.AddBytes(hashes[i][:])
	}
}

// Parse reads an answer. It checks the form alone: lengths, counts, order.
func Parse(data []byte) (*Answer, error) {
	if len(data) > MaxAnswer {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", errForm, len(data), MaxAnswer)
	}
	s := cryptobyte.String(data)
	a := new(Answer)
	var version uint16
	var note, consistency, genesis, epoch, accounts, nodes, proofs cryptobyte.String
	if !s.ReadUint16(&version) {
		return nil, fmt.Errorf("%w: empty", errForm)
	}
	if version != answerVersion {
		return nil, fmt.Errorf("answer version %d: this client reads version %d", version, answerVersion)
	}
	if !s.ReadUint16LengthPrefixed(&note) || !s.ReadUint16LengthPrefixed(&consistency) ||
		!s.ReadUint16LengthPrefixed(&genesis) || !s.ReadUint16LengthPrefixed(&epoch) ||
		!readUint32LengthPrefixed(&s, &accounts) || !s.ReadUint24LengthPrefixed(&nodes) ||
		!s.ReadUint24LengthPrefixed(&proofs) || !s.Empty() {
		return nil, fmt.Errorf("%w: a field is cut short or bytes follow", errForm)
	}
	if len(note) == 0 || len(epoch) == 0 {
		return nil, fmt.Errorf("%w: no checkpoint or no EPOCH", errForm)
	}
	a.Note, a.Genesis, a.Epoch = note, genesis, epoch
	var err error
	if a.Consistency, err = readHashes(consistency); err != nil {
		return nil, err
	}
	if a.Nodes, err = readHashes(nodes); err != nil {
		return nil, err
	}
	versions := 0
	for !accounts.Empty() {
		if len(a.Accounts) == MaxAccounts {
			return nil, fmt.Errorf("%w: over %d accounts", errForm, MaxAccounts)
		}
		account, err := readAccount(&accounts)
		if err != nil {
			return nil, err
		}
		versions += len(account.Versions)
		a.Accounts = append(a.Accounts, *account)
	}
	if a.Proofs, err = readProofs(proofs, versions); err != nil {
		return nil, err
	}
	return a, a.checkOrder()
}

// readProofs reads one PrefixProof for every ProofCut versions.
func readProofs(s cryptobyte.String, versions int) ([]*prefix.Proof, error) {
	var proofs []*prefix.Proof
	for left := versions; left > 0; left -= ProofCut {
		p, err := prefix.ReadProof(&s)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errForm, err)
		}
		if len(p.Results) != min(left, ProofCut) {
			return nil, fmt.Errorf("%w: a prefix proof with %d results, want %d", errForm, len(p.Results), min(left, ProofCut))
		}
		proofs = append(proofs, p)
	}
	if !s.Empty() {
		return nil, fmt.Errorf("%w: bytes after the prefix proofs", errForm)
	}
	return proofs, nil
}

func (a *Answer) checkOrder() error {
	if len(a.Accounts) == 0 {
		return fmt.Errorf("%w: no account", errForm)
	}
	seen := make(map[name.AccountID]bool, len(a.Accounts))
	for i := range a.Accounts {
		account := &a.Accounts[i]
		if seen[account.ID] {
			return fmt.Errorf("%w: account %s twice", errForm, account.ID)
		}
		seen[account.ID] = true
		if account.From > account.To || account.To > account.Events {
			return fmt.Errorf("%w: opens %d to %d of %d events", errForm, account.From, account.To, account.Events)
		}
		for j := 1; j < len(account.Versions); j++ {
			if account.Versions[j-1].Seq >= account.Versions[j].Seq {
				return fmt.Errorf("%w: versions are not in ascending order", errForm)
			}
		}
	}
	return nil
}

func readAccount(s *cryptobyte.String) (*Account, error) {
	a := new(Account)
	var versions cryptobyte.String
	if !s.CopyBytes(a.ID[:]) || !s.ReadUint32(&a.Events) || !s.ReadUint32(&a.From) || !s.ReadUint32(&a.To) ||
		!s.ReadUint24LengthPrefixed(&versions) {
		return nil, fmt.Errorf("%w: an account is cut short", errForm)
	}
	for !versions.Empty() {
		v, err := readVersion(&versions)
		if err != nil {
			return nil, err
		}
		a.Versions = append(a.Versions, v)
	}
	var err error
	if a.Devices, err = event.ReadDevices(s); err != nil {
		return nil, fmt.Errorf("%w: %w", errForm, err)
	}
	return a, nil
}

func readVersion(s *cryptobyte.String) (v Version, err error) {
	var form uint8
	if !s.ReadUint32(&v.Seq) || !s.CopyBytes(v.Proof[:]) || !s.ReadUint8(&form) {
		return v, fmt.Errorf("%w: a version is cut short", errForm)
	}
	v.Form = Form(form)
	if v.Form > Opened {
		return v, fmt.Errorf("%w: unknown form %d", errForm, form)
	}
	if v.Form == Absent {
		return v, nil
	}
	if !s.ReadUint64(&v.Position) || !s.CopyBytes(v.Commitment[:]) {
		return v, fmt.Errorf("%w: a present version is cut short", errForm)
	}
	if v.Position >= leaf.MaxCount {
		return v, fmt.Errorf("%w: position out of range", errForm)
	}
	if v.Form == Opened {
		var body cryptobyte.String
		if !s.CopyBytes(v.Opening[:]) || !s.ReadUint16LengthPrefixed(&body) {
			return v, fmt.Errorf("%w: an opened version is cut short", errForm)
		}
		v.Event = body
	}
	return v, nil
}

func readHashes(s cryptobyte.String) ([]leaf.Hash, error) {
	if len(s)%32 != 0 {
		return nil, fmt.Errorf("%w: hashes of %d bytes", errForm, len(s))
	}
	hashes := make([]leaf.Hash, len(s)/32)
	for i := range hashes {
		s.CopyBytes(hashes[i][:])
	}
	return hashes, nil
}

// readUint32LengthPrefixed is the one width that cryptobyte.String lacks.
func readUint32LengthPrefixed(s, out *cryptobyte.String) bool {
	var n uint32
	var v []byte
	if !s.ReadUint32(&n) || uint64(n) > uint64(len(*s)) || !s.ReadBytes(&v, int(n)) {
		return false
	}
	*out = v
	return true
}
