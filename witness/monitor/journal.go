package monitor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/musterlog/muster/log/durable"
	"github.com/musterlog/muster/log/name"
)

// journal is all that a monitor must not forget, in one file, so that one
// atomic write moves a cursor and queues what it passed.
type journal struct {
	Version  int                        `json:"version"`
	Origin   name.Origin                `json:"origin"`
	Accounts map[name.Identifier]*watch `json:"accounts"`
	Queue    []queued                   `json:"queue"`
	Scan     *scan                      `json:"scan"`     // null: never begun
	Promises map[string]*watch          `json:"promises"` // by the promise's hash; null: none yet
}

const journalVersion = 1

// watch is one account's place.
type watch struct {
	Begun    bool                `json:"begun"`    // its history was verified once
	Next     uint32              `json:"next"`     // seq of the first event that is neither told nor queued
	Event    string              `json:"event"`    // event_id of the one before; empty: none
	Verified time.Time           `json:"verified"` // the last time; or when the watch began
	Troubles map[string]*trouble `json:"troubles"`
}

// trouble is one check that does not pass, of one account.
type trouble struct {
	Told time.Time `json:"told"` // the last alert
	Open bool      `json:"open"` // no recovery was told since
}

// queued is an alert on its way.
type queued struct {
	Alert   Alert `json:"alert"`
	Printed bool  `json:"printed"`
}

// readJournal reads the file, or begins a new one if there is none. A damaged
// one is an error: to begin anew would tell everything once more, and forget
// the alerts that nobody was told.
func readJournal(disk durable.Disk, path string, origin name.Origin) (*journal, error) {
	data, err := disk.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &journal{Version: journalVersion, Origin: origin, Accounts: map[name.Identifier]*watch{}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the monitor's journal: %w", err)
	}
	j := new(journal)
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err = d.Decode(j); err == nil {
		err = j.check()
	}
	if _, more := d.Token(); err == nil && more != io.EOF {
		err = errors.New("bytes after its end")
	}
	if err != nil {
		return nil, fmt.Errorf("the monitor's journal %s is damaged: %w: restore it; moving it away tells everything once more, and forgets alerts that still wait", path, err)
	}
	if j.Origin != origin {
		return nil, fmt.Errorf("the monitor's journal %s is of log %s, not %s: choose another --dir for another log", path, j.Origin, origin)
	}
	return j, nil
}

func (j *journal) check() error {
	if j.Version != journalVersion {
		return fmt.Errorf("version %d, want %d", j.Version, journalVersion)
	}
	if j.Accounts == nil {
		return errors.New("no accounts")
	}
	watches := slices.Collect(maps.Values(j.Accounts))
	if s := j.Scan; s != nil {
		watches = append(watches, &s.Watch)
		for _, v := range s.Known {
			if v == nil {
				return errors.New("a version without content")
			}
		}
		if s.Known == nil {
			return errors.New("a scan without content")
		}
	}
	for _, w := range watches {
		if w == nil || w.Troubles == nil {
			return errors.New("an account without content")
		}
		for _, t := range w.Troubles {
			if t == nil {
				return errors.New("a trouble without content")
			}
		}
	}
	return nil
}

// save makes the journal durable. Nothing is told before it returned: what a
// crash undoes was told to nobody, and is found again.
func (m *Monitor) save() error {
	if !m.dirty {
		return nil
	}
	data, err := json.Marshal(m.journal)
	if err != nil {
		return err
	}
	if err := m.replace(m.path("journal.json"), data); err != nil {
		return fmt.Errorf("writing the monitor's journal: %w: nothing is told before it is written; is the disk full?", err)
	}
	m.dirty = false
	return nil
}
