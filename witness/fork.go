package witness

import (
	"errors"
	"path/filepath"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
)

func (w *Witness) evidence() string { return filepath.Join(w.cfg.Dir, "evidence") }

// catch writes evidence of kind E1, or else both checkpoints, if the log signed
// another root of the recorded size, whatever the request is answered and without
// keeping it waiting. One file convicts, so there is one for each log and start: a
// log that forks without end fills no disk.
func (w *Witness) catch(s *logState, r *request, lines []checkpoint.Line) {
	old := s.record
	if old.time == 0 || r.Size != old.Size || r.Root == old.Root || !s.convicted.CompareAndSwap(false, true) {
		return
	}
	w.cfg.Logger.Error("FORK: the log signed two roots of one size; the second is not cosigned",
		"origin", r.Origin, "size", r.Size, "cosigned", old.Root, "refused", r.Root)
	refused := (&record{text: r.text, lines: lines}).note()
	f := evidence.TwoRoots(old.note(), refused)
	w.background.Go(func() {
		path, err := w.convict(s.keys, f)
		if path == "" {
			path, err = w.keepNotes(old.note(), refused)
		}
		if err != nil {
			s.convicted.Store(false) // the next request with a fork tries again
			w.cfg.Logger.Error("no evidence of the fork is kept: this line and the witness's last checkpoint are what there is", "origin", r.Origin, "error", err, "refused", string(refused))
			return
		}
		w.cfg.Logger.Error("evidence of the fork is kept", "origin", r.Origin, "file", path)
	})
}

// convict keeps the file of the first key that it convicts. It takes one key
// on both notes; and a log of another kind than ours, with extension lines or
// an origin that is none of ours, has no evidence file: then path is empty.
func (w *Witness) convict(keys []checkpoint.Key, f *evidence.File) (path string, err error) {
	for _, k := range keys {
		err = evidence.Convict(k, f)
		if caught := new(evidence.Misbehaviour); errors.As(err, &caught) {
			path = filepath.Join(w.evidence(), caught.File.Name())
			return path, w.cfg.Disk.Keep(path, caught.File.Bytes())
		}
	}
	return "", err
}

// keepNotes keeps the checkpoints of a fork that no evidence file can show: both
// are signed, so that whoever has them and the log's keys can judge. path is the
// last one's.
func (w *Witness) keepNotes(notes ...[]byte) (path string, err error) {
	for _, note := range notes {
		path = filepath.Join(w.evidence(), evidence.NoteName(note))
		if err := w.cfg.Disk.Keep(path, note); err != nil {
			return "", err
		}
	}
	return path, nil
}
