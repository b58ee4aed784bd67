package auditor

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
)

// u64 size | u16 len | EPOCH leaf, or nothing before the first | u16 len | note
func (s *state) bytes() []byte {
	var b cryptobyte.Builder
	b.AddUint64(s.size)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		if s.epoch != nil {
			b.AddBytes(s.epoch.Bytes())
		}
	})
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(s.note.Bytes()) })
	return b.BytesOrPanic()
}

func parseState(record []byte) (st state, err error) {
	s := cryptobyte.String(record)
	var epoch, note cryptobyte.String
	if len(record) > maxRecord || !s.ReadUint64(&st.size) || !s.ReadUint16LengthPrefixed(&epoch) ||
		!s.ReadUint16LengthPrefixed(&note) || !s.Empty() {
		return st, errors.New("the auditor's record is malformed")
	}
	if len(epoch) > 0 {
		l, err := leaf.Parse(epoch)
		if err != nil {
			return st, fmt.Errorf("the auditor's record: %w", err)
		}
		var ok bool
		if st.epoch, ok = l.(*leaf.Epoch); !ok {
			return st, errors.New("the auditor's record has another leaf in an EPOCH's place")
		}
	}
	if st.note, err = checkpoint.Parse(note); err != nil {
		return st, fmt.Errorf("the auditor's record: %w", err)
	}
	if st.size > st.note.Size || st.size < st.next() {
		return st, fmt.Errorf("the auditor's record: %d leaves replayed, under a checkpoint of %d", st.size, st.note.Size)
	}
	return st, nil
}

func (a *Auditor) stoppedFile() string { return filepath.Join(a.cfg.Dir, "stopped") }

// keepStopped makes a stop last: from here on no auditor on this folder finds
// the log in order, and once there is evidence none runs.
//
//	position LF rule LF path of the evidence, or nothing, LF
func (a *Auditor) keepStopped(b *Broken) error {
	return a.cfg.Disk.Replace(a.stoppedFile(), fmt.Appendf(nil, "%d\n%s\n%s\n", b.Position, b.Rule, b.Evidence))
}

// loadStopped is what an earlier auditor on this folder stopped for, or nil. A
// file that cannot be read stops this one too.
func (a *Auditor) loadStopped() (*Broken, error) {
	data, err := a.cfg.Disk.ReadFile(a.stoppedFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	lines := strings.Split(string(data), "\n")
	if len(lines) != 4 || len(data) > maxRule {
		return nil, &Broken{Rule: "as " + a.stoppedFile() + " says"}
	}
	b := &Broken{Rule: lines[1], Evidence: lines[2]}
	b.Position, _ = strconv.ParseUint(lines[0], 10, 64) // said to people only
	return b, nil
}
