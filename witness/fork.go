package witness

import (
	"encoding/base64"
	"fmt"
	"path/filepath"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/durable"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/name"
)

func (w *Witness) evidence() string { return filepath.Join(w.cfg.Dir, "evidence") }

// catch writes evidence of kind E1 if the log signed another root of the
// recorded size, whatever the request is answered. One file convicts, so there
// is one for each log and start: a log that forks without end fills no disk.
func (w *Witness) catch(s *logState, r *request, lines []checkpoint.Line) {
	old := s.record
	if old.time == 0 || r.Size != old.Size || r.Root == old.Root {
		return
	}
	w.cfg.Logger.Error("FORK: the log signed two roots of one size; the second is not cosigned",
		"origin", r.Origin, "size", r.Size, "cosigned", old.Root, "refused", r.Root)
	next := &record{Foreign: r.Foreign, text: r.text}
	for _, k := range s.keys {
		first, second := made(k, old.lines), made(k, lines)
		if first == nil || second == nil {
			continue // signed with a key each: it takes both to convict
		}
		next.lines = second
		f := &evidence.File{Kind: evidence.E1, Origin: name.Origin(r.Origin), Lines: []evidence.Line{
			evidence.Note((&record{text: old.text, lines: first}).note()), evidence.Note(next.note()),
		}}
		if s.convicted.CompareAndSwap(false, true) {
			w.background.Go(func() { w.convict(s, k, f) })
		}
		return
	}
}

// made gives the line by this key.
func made(k checkpoint.Key, lines []checkpoint.Line) []checkpoint.Line {
	for i := range lines {
		if k.Made(lines[i]) {
			return lines[i : i+1]
		}
	}
	return nil
}

// convict keeps what convicts the log. A log of another kind than ours, with
// extension lines or an origin that is none of ours, has no evidence file: the
// line in the witness's own log has to do.
func (w *Witness) convict(s *logState, k checkpoint.Key, f *evidence.File) {
	path := ""
	err := convicts(k, f)
	if err == nil {
		path = filepath.Join(w.evidence(), fileName(f))
		err = durable.Keep(path, fileBytes(f))
	}
	if err != nil {
		s.convicted.Store(false)
		w.cfg.Logger.Error("no evidence of the fork is kept", "origin", f.Origin, "error", err)
		return
	}
	w.cfg.Logger.Error("evidence of the fork is kept", "origin", f.Origin, "file", path)
}

func convicts(k checkpoint.Key, f *evidence.File) error {
	for _, l := range f.Lines {
		n, err := checkpoint.Parse(l.(evidence.Note))
		if err != nil {
			return err
		}
		if _, err := k.Verify(n.Text, n.Lines[0]); err != nil {
			return err
		}
	}
	return nil
}

func fileBytes(f *evidence.File) []byte {
	b := fmt.Appendf(nil, "muster-evidence/v1\nkind %s\norigin %s\n", f.Kind, f.Origin)
	for _, l := range f.Lines {
		b = fmt.Appendf(b, "note %s\n", base64.StdEncoding.EncodeToString(l.(evidence.Note)))
	}
	return b
}

func fileName(f *evidence.File) string { return hashOf(string(fileBytes(f))) + ".evidence" }
