package answer

import (
	"encoding/base64"
	"fmt"

	"github.com/musterlog/muster/log/leaf"
)

// TLogProof is C2SP's tlog-proof@v1 of one leaf: what any transparency log's
// tools can verify, under a policy of theirs. It says that the leaf is logged,
// and nothing of what the leaf hides or whether a newer one is there.
type TLogProof struct {
	Leaf  []byte // the leaf's bytes; they stand in the "extra" line, which the path authenticates
	Index uint64 // of the leaf: its position
	Path  []leaf.Hash
	Note  []byte // signed checkpoint
}

// Bytes is the proof's text.
//
//	"c2sp.org/tlog-proof@v1" "\n" "extra " base64(leaf) "\n" "index " decimal "\n" base64(hash) "\n" … "\n" note
func (p *TLogProof) Bytes() []byte {
	b := fmt.Appendf(nil, "c2sp.org/tlog-proof@v1\nextra %s\nindex %d\n", base64.StdEncoding.EncodeToString(p.Leaf), p.Index)
	for i := range p.Path {
		b = base64.StdEncoding.AppendEncode(b, p.Path[i][:])
		b = append(b, '\n')
	}
	return append(append(b, '\n'), p.Note...)
}
