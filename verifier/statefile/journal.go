package statefile

import (
	"bytes"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

// Journal is a device.Journal in a folder, which may be a Store's: one file
// for each account with something pending, log_id, "-", account_id in hex and
// ".pending".
type Journal struct{ folder folder }

// OpenJournal makes the folder if there is none; one that others can read is
// refused.
func OpenJournal(dir string) (*Journal, error) {
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	return &Journal{f}, nil
}

func pendingFile(log name.LogID, account name.AccountID) string {
	return log.String() + "-" + account.String() + ".pending"
}

// Load is device.Journal's.
func (j *Journal) Load(log name.LogID, account name.AccountID) ([]byte, error) {
	data, _, err := j.folder.read(pendingFile(log, account))
	return data, err
}

// Swap is device.Journal's.
func (j *Journal) Swap(log name.LogID, account name.AccountID, old, next []byte) error {
	file := pendingFile(log, account)
	unlock, err := j.folder.lock("journal") // one for all accounts: it is held for milliseconds
	if err != nil {
		return err
	}
	defer unlock()
	kept, _, err := j.folder.read(file)
	if err != nil {
		return err
	}
	if (kept == nil) != (old == nil) || !bytes.Equal(kept, old) {
		return verifier.ErrConflict
	}
	return j.folder.replace(file, next)
}
