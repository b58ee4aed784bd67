package answer

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
)

// ErrRequest says that a request breaks its form; asking again will not help.
var ErrRequest = errors.New("malformed lookup request")

// Kind says what a client wants to know of an account.
type Kind uint8

const (
	First     Kind = 0 // nothing is known of the account: its devices now
	Returning Kind = 1 // the client accepted seq k: what came since
	History   Kind = 2 // everything since the newest ERASE
)

// Ask is one account of a request.
type Ask struct {
	Account name.AccountID
	Kind    Kind
	Seq     uint32 // k of a returning client, the newest seq it accepted; else 0
	Most    uint32 // events opened at the most in this answer, 1 or more; the rest comes in pages
}

// Request asks for the state of accounts, under one checkpoint. It carries
// nothing secret but what interest in an account tells.
type Request struct {
	Size         uint64 // of the checkpoint that the client holds; 0: none
	GenesisKnown bool   // whether the answer may leave GENESIS out
	Asks         []Ask  // 1..200, no account twice
}

// Bytes is
//
//	u64 client size || u8 genesis known || accounts, each: account_id[32] || u8 kind || u32 k || u32 most
func (r *Request) Bytes() []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, 9+len(r.Asks)*askSize))
	b.AddUint64(r.Size)
	if r.GenesisKnown {
		b.AddUint8(1)
	} else {
		b.AddUint8(0)
	}
	for _, a := range r.Asks {
		b.AddBytes(a.Account[:])
		b.AddUint8(uint8(a.Kind))
		b.AddUint32(a.Seq)
		b.AddUint32(a.Most)
	}
	return b.BytesOrPanic()
}

// ParseRequest reads a request; every error is an ErrRequest.
func ParseRequest(data []byte) (*Request, error) {
	if len(data) > maxRequest {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrRequest, len(data), maxRequest)
	}
	s := cryptobyte.String(data)
	r := new(Request)
	var known uint8
	if !s.ReadUint64(&r.Size) || !s.ReadUint8(&known) || known > 1 {
		return nil, fmt.Errorf("%w: want u64 size, u8 genesis known (0 or 1)", ErrRequest)
	}
	r.GenesisKnown = known == 1
	for !s.Empty() {
		var a Ask
		var kind uint8
		if !s.CopyBytes(a.Account[:]) || !s.ReadUint8(&kind) || !s.ReadUint32(&a.Seq) || !s.ReadUint32(&a.Most) {
			return nil, fmt.Errorf("%w: an account is cut short", ErrRequest)
		}
		a.Kind = Kind(kind)
		r.Asks = append(r.Asks, a)
	}
	return r, r.check()
}

func (r *Request) check() error {
	switch {
	case len(r.Asks) == 0 || len(r.Asks) > MaxAccounts:
		return fmt.Errorf("%w: %d accounts, want 1 to %d", ErrRequest, len(r.Asks), MaxAccounts)
	case r.Size == 1 || r.Size >= leaf.MaxCount:
		return fmt.Errorf("%w: no checkpoint has size %d", ErrRequest, r.Size)
	case r.Size > 0 && !r.GenesisKnown:
		return fmt.Errorf("%w: who has a checkpoint knows GENESIS", ErrRequest)
	}
	seen := make(map[name.AccountID]bool, len(r.Asks))
	for _, a := range r.Asks {
		switch {
		case seen[a.Account]:
			return fmt.Errorf("%w: account %s twice", ErrRequest, a.Account)
		case a.Kind > History:
			return fmt.Errorf("%w: unknown kind %d", ErrRequest, a.Kind)
		case a.Kind != Returning && a.Seq != 0:
			return fmt.Errorf("%w: a seq for an account that is not returning", ErrRequest)
		case a.Seq == noSeq:
			return fmt.Errorf("%w: no event has seq %d", ErrRequest, a.Seq)
		case a.Most == 0:
			return fmt.Errorf("%w: most is 0, want 1 or more", ErrRequest)
		}
		seen[a.Account] = true
	}
	return nil
}
