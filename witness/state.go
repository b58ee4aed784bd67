package witness

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/durable"
)

// ErrNoState is a folder without a witness's state, or without that of a log
// it has cosigned. Without it a witness would take any history for the first.
var ErrNoState = errors.New("the witness's state is missing")

// record is what a witness knows of one log: the last checkpoint that it
// cosigned or, if it died on the way, was about to. The zero value is a log
// that it never cosigned.
type record struct {
	checkpoint.Foreign
	text  string            // of the checkpoint
	lines []checkpoint.Line // the log's own
	time  uint64            // of the cosignatures, POSIX seconds; 0: never
}

// note is the signed checkpoint with the log's lines, and these after them.
func (r *record) note(lines ...checkpoint.Line) []byte {
	return checkpoint.Append(checkpoint.Append([]byte(r.text+"\n"), r.lines...), lines...)
}

// folder is where the state lies:
//
//	LOCK       held while a witness runs
//	origins    every origin that was ever begun, one a line: whose file must be there
//	<hash>     one file a log, named by the hexadecimal SHA-256 of its origin
type folder struct {
	durable.Disk
	dir string
}

const (
	lockFile    = "LOCK"
	originsFile = "origins"
	recordMagic = "muster-witness/v1\n"
)

func (f folder) path(file string) string { return filepath.Join(f.dir, file) }

// hashOf names an origin where it stands in a path (C2SP tlog-witness).
func hashOf(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(sum[:])
}

// open takes the folder for this process.
func (f folder) open(init bool) (io.Closer, error) {
	if init {
		if err := f.MakeFolder(filepath.Clean(f.dir)); err != nil {
			return nil, err
		}
	} else if _, err := f.ReadFile(f.path(originsFile)); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no %s", ErrNoState, f.path(originsFile))
	}
	return f.Lock(f.path(lockFile))
}

// load gives the records of these origins. One that was never begun gets its
// file here, so that a first contact finds a file like any other request, and
// one that is missing later was taken away.
func (f folder) load(origins []string, init bool) (map[string]*record, error) {
	begun, err := f.begun(init)
	if err != nil {
		return nil, err
	}
	for _, origin := range begun {
		if _, err := f.ReadFile(f.path(hashOf(origin))); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: it knows log %s, and there is no %s", ErrNoState, origin, f.path(hashOf(origin)))
		}
	}
	records, all := make(map[string]*record), slices.Clone(begun)
	for _, origin := range origins {
		data, err := f.ReadFile(f.path(hashOf(origin)))
		if errors.Is(err, fs.ErrNotExist) {
			// A crash before origins is written leaves a record of nothing, which
			// the next start reads.
			data = new(record).encode(origin)
			err = f.Replace(f.path(hashOf(origin)), data)
		}
		if err != nil {
			return nil, err
		}
		r, err := parseRecord(origin, data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.path(hashOf(origin)), err)
		}
		if records[origin] = r; !slices.Contains(begun, origin) {
			all = append(all, origin)
		}
	}
	if slices.Sort(all); init || len(all) > len(begun) {
		err = f.Replace(f.path(originsFile), []byte(strings.Join(append(all, ""), "\n")))
	}
	return records, err
}

// begun gives every origin that the witness ever knew.
func (f folder) begun(init bool) ([]string, error) {
	data, err := f.ReadFile(f.path(originsFile))
	if init && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return strings.FieldsFunc(string(data), func(r rune) bool { return r == '\n' }), nil
}

// store replaces a log's record. After an error the file is the old one or the
// new one, which does not matter: neither is cosigned beyond the old one.
func (f folder) store(r *record) error {
	return f.Replace(f.path(hashOf(r.Origin)), r.encode(r.Origin))
}

// encode is the file of a record. Its sum is for a disk that changes bits:
// what the file says is cosigned again, with the same time, at every start.
//
//	"muster-witness/v1" LF  "sum " hex(SHA-256(rest)) LF  rest
//	rest = "origin " origin LF  "time " decimal LF  LF  signed checkpoint
func (r *record) encode(origin string) []byte {
	rest := fmt.Appendf(nil, "origin %s\ntime %d\n\n", origin, r.time)
	if r.time > 0 {
		rest = append(rest, r.note()...)
	}
	return append(fmt.Appendf(nil, "%ssum %x\n", recordMagic, sha256.Sum256(rest)), rest...)
}

func parseRecord(origin string, data []byte) (*record, error) {
	const broken = "the file is damaged: restore it as it last was, or run a new witness with a new key in another folder"
	r := new(record)
	head, note, ok := strings.Cut(string(data), "\n\n")
	if lines := strings.Split(head, "\n"); ok && len(lines) == 4 {
		time, _ := strings.CutPrefix(lines[3], "time ")
		r.time, _ = parseDecimal(time)
	}
	if r.time > 0 {
		var err error
		if r.text, r.lines, err = checkpoint.ParseSigned([]byte(note)); err != nil {
			return nil, fmt.Errorf("%w: %s", err, broken)
		}
		if r.Foreign, err = checkpoint.ParseForeign(r.text); err != nil {
			return nil, fmt.Errorf("%w: %s", err, broken)
		}
	}
	// Whatever was read, it is the file only if it gives the same bytes.
	if (r.time > 0 && r.Origin != origin) || !bytes.Equal(r.encode(origin), data) {
		return nil, errors.New(broken)
	}
	return r, nil
}
