package credential

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Scope is what a credential allows. Each allows what those before it do: who
// submits has to look first, and an operator's command does both. An auditor,
// who is a stranger and reads every leaf, learns nothing about accounts by it.
type Scope int

const (
	None     Scope = iota // what everybody may do
	Audit                 // read entries, where they are not for everybody
	Read                  // and look accounts up
	Write                 // and submit events that their owners signed
	Operator              // and OPERATOR_REMOVE and ERASE, which nobody signs
)

var scopes = []string{None: "none", Audit: "audit", Read: "read", Write: "write", Operator: "operator"}

func (s Scope) String() string { return scopes[s] }

// ParseScope reads audit, read, write or operator.
func ParseScope(text string) (Scope, error) {
	for s := Audit; s <= Operator; s++ {
		if text == s.String() {
			return s, nil
		}
	}
	return None, fmt.Errorf("scope %q: want audit, read, write or operator", text)
}

// Credential is what a log knows of a token.
type Credential struct {
	Hash  Hash
	Scope Scope
	Added time.Time // to the second
	Name  string    // whose it is, for people; may be empty
}

// ID names a credential where its token must not stand. It tells nothing of it.
func (c *Credential) ID() string { return hex.EncodeToString(c.Hash[:6]) }

// The file: a first line that says what it is, then a line for each credential,
// its hash, scope, time and name. There may be none: then nobody is let in,
// which is not the same as having no file.
const header = "muster credentials 1"

func (c *Credential) line() string {
	return strings.TrimSuffix(fmt.Sprintf("%x %s %s %s", c.Hash, c.Scope, c.Added.UTC().Format(time.RFC3339), c.Name), " ")
}

func parse(text string) ([]Credential, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if lines[0] != header {
		return nil, fmt.Errorf("line 1: want %q", header)
	}
	var all []Credential
	for i, line := range lines[1:] {
		c, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+2, err)
		}
		all = append(all, c)
	}
	return all, nil
}

func parseLine(line string) (c Credential, err error) {
	fields := strings.SplitN(line, " ", 4)
	if len(fields) < 3 {
		return c, fmt.Errorf("want a hash, a scope, a time and perhaps a name")
	}
	if n, err := hex.Decode(c.Hash[:], []byte(fields[0][:min(len(fields[0]), 2*len(c.Hash))])); err != nil || n != len(c.Hash) || len(fields[0]) != 2*n {
		return c, fmt.Errorf("want %d hex digits", 2*len(c.Hash))
	}
	if c.Scope, err = ParseScope(fields[1]); err != nil {
		return c, err
	}
	if c.Added, err = time.Parse(time.RFC3339, fields[2]); err != nil {
		return c, fmt.Errorf("want a time such as 2026-11-26T20:00:00Z")
	}
	if len(fields) == 4 {
		c.Name = fields[3]
	}
	return c, nil
}
