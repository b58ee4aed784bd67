package witness

import (
	"encoding/base64"
	"fmt"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
)

// SetStall has f run between the check and the record.
func (w *Witness) SetStall(f func()) { w.stall = f }

// SetStored has f run between the record and the cosignature.
func (w *Witness) SetStored(f func()) { w.stored = f }

// SetBodyTime is the longest that a body may take.
func (w *Witness) SetBodyTime(d time.Duration) { w.bodyTime = d }

// HashOf is a state file's name.
var HashOf = hashOf

// MaxBody is the limit of a body.
const MaxBody = maxBody

// Parse is the parser of add-checkpoint. It gives the body back as it must
// have been, for the fuzzer.
func Parse(body []byte) ([]byte, error) {
	r, err := parse(body)
	if err != nil {
		return nil, err
	}
	return r.encode(), nil
}

func (r *request) encode() []byte {
	b := fmt.Appendf(nil, "old %d\n", r.old)
	for _, h := range r.proof {
		b = append(base64.StdEncoding.AppendEncode(b, h[:]), '\n')
	}
	return checkpoint.Append(append(b, "\n"+r.text+"\n"...), r.lines...)
}
