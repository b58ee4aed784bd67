package witness

import (
	"errors"
	"fmt"
	"strings"

	"github.com/musterlog/muster/log/checkpoint"
)

// Log is a key whose checkpoints are cosigned. Its name is the origin. A log
// that changes its key has two for a while: either signs for the origin.
type Log struct {
	Key checkpoint.Key // of type Ed25519
	URL string         // where the log is read; empty if nobody said. A witness does not need it
}

// ParseLogs reads lines of C2SP tlog-policy:
//
//	log <vkey> [<url>]
//
// Lines for witness, group and quorum are left alone, so that a whole policy
// will do. So is a log's second key of type ML-DSA-44: its lines are by an
// unknown key here. There may be several logs, and there must be one.
func ParseLogs(b []byte) ([]Log, error) {
	logs, err := parseLogs(b)
	if err != nil {
		return nil, fmt.Errorf("reading logs: %w", err)
	}
	return logs, nil
}

func parseLogs(b []byte) (logs []Log, err error) {
	if len(b) > maxLogs {
		return nil, fmt.Errorf("%d bytes: want at most %d", len(b), maxLogs)
	}
	rest := string(b)
	for n := 1; rest != ""; n++ {
		var line string
		var ended bool
		if line, rest, ended = strings.Cut(rest, "\n"); !ended {
			return nil, fmt.Errorf("line %d has no line break at its end: is the file cut off?", n)
		}
		l, err := parseLog(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if l != nil {
			logs = append(logs, *l)
		}
	}
	if len(logs) == 0 {
		return nil, errors.New("no log: want lines \"log <vkey> [<url>]\", each with an Ed25519 key")
	}
	return logs, checkLogs(logs)
}

// parseLog gives nil for a line that is not for a witness.
func parseLog(line string) (*Log, error) {
	for i := range len(line) {
		if c := line[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return nil, fmt.Errorf("control character %#02x at byte %d", c, i)
		}
	}
	words := strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' })
	if len(words) == 0 || words[0][0] == '#' {
		return nil, nil
	}
	switch words[0] {
	case "witness", "group", "quorum":
		return nil, nil
	case "log":
	default:
		return nil, fmt.Errorf("%.40q: want log <vkey> [<url>]", words[0])
	}
	if len(words) < 2 || len(words) > 3 {
		return nil, errors.New("want log <vkey> [<url>]")
	}
	key, err := checkpoint.ParseKey(words[1])
	if err != nil || key.Type == checkpoint.MLDSA44 {
		return nil, err
	}
	l := &Log{Key: key}
	if len(words) == 3 {
		l.URL = words[2]
	}
	return l, nil
}

// checkLogs refuses what would leave in doubt whose a signature is.
func checkLogs(logs []Log) error {
	type signer struct {
		name string
		id   uint32
	}
	named, public := make(map[signer]bool), make(map[string]string)
	for _, l := range logs {
		k := l.Key
		if k.Type != checkpoint.Ed25519 {
			return fmt.Errorf("key %q is of type %#02x: want a log's, %#02x", k.Name, uint8(k.Type), uint8(checkpoint.Ed25519))
		}
		if other, ok := public[string(k.Public)]; ok {
			return fmt.Errorf("key %q has the public key of %q: want each key once", k.Name, other)
		}
		if named[signer{k.Name, k.ID}] {
			return fmt.Errorf("two keys are named %q with key id %08x", k.Name, k.ID)
		}
		named[signer{k.Name, k.ID}], public[string(k.Public)] = true, k.Name
	}
	return nil
}
