package checkpoint

import (
	"errors"
	"fmt"
	"strings"

	"github.com/musterlog/muster/log/name"
)

// Policy says which log is meant and whose cosignatures are enough to believe
// its checkpoints (C2SP tlog-policy). Make it with ParsePolicy, which checks
// what the fields alone cannot promise, and leave them as they are.
type Policy struct {
	Log       Key
	LogURL    string // empty if the policy has none
	Witnesses []Witness
	Groups    []Group // each has only members that stand before it
	Quorum    string  // the name of a witness or a group, or "none"
}

// Witness is a cosigner: a witness proper or an auditor. Name is the policy's
// own word for it, and may differ from the key's.
type Witness struct {
	Name string
	Key  Key
	URL  string // empty if the policy has none
}

// Group is met when at least Need of its members are.
type Group struct {
	Name    string
	Need    int // 1..len(Members)
	Members []string
}

const (
	quorumNone    = "none"     // no cosignature is needed; no witness or group can have this name
	auditorsGroup = "auditors" // its members, and theirs, are auditors (protocol section 6)
)

// ParsePolicy reads a policy of at most 64 KiB with exactly one log, whose
// name is an origin, and exactly one quorum. Beyond C2SP it refuses a key that
// serves as log and witness, and witnesses that share key name and key id.
// The log's key is Ed25519; a witness's is an Ed25519 cosigner's or ML-DSA-44.
func ParsePolicy(b []byte) (*Policy, error) {
	p, err := parsePolicy(b)
	if err != nil {
		return nil, fmt.Errorf("reading policy: %w", err)
	}
	return p, nil
}

// String is the policy in one plain form: log, witnesses, groups, quorum, with
// each threshold as a number, and no comments.
func (p *Policy) String() string {
	var s strings.Builder
	line := func(words ...string) {
		s.WriteString(strings.TrimRight(strings.Join(words, " "), " ") + "\n") // no URL: no space
	}
	line("log", p.Log.String(), p.LogURL)
	for _, w := range p.Witnesses {
		line("witness", w.Name, w.Key.String(), w.URL)
	}
	for _, g := range p.Groups {
		line("group", g.Name, fmt.Sprint(g.Need), strings.Join(g.Members, " "))
	}
	line("quorum", p.Quorum)
	return s.String()
}

func parsePolicy(b []byte) (*Policy, error) {
	if len(b) > maxPolicy {
		return nil, fmt.Errorf("%d bytes: want at most %d", len(b), maxPolicy)
	}
	r := policyReader{policy: new(Policy), defined: make(map[string]bool), member: make(map[string]bool)}
	rest := string(b)
	for n := 1; rest != ""; n++ {
		var line string
		var ended bool
		if line, rest, ended = strings.Cut(rest, "\n"); !ended {
			return nil, fmt.Errorf("line %d has no line break at its end: is the file cut off?", n)
		}
		if err := r.line(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if r.policy.Log.Name == "" {
		return nil, errors.New("no log line: want \"log <vkey> [<url>]\"")
	}
	if r.policy.Quorum == "" {
		return nil, errors.New("no quorum line: want \"quorum <name>\" or \"quorum none\"")
	}
	return r.policy, nil
}

// policyReader reads line by line; a name must be defined before it is used,
// so groups cannot go in circles.
type policyReader struct {
	policy  *Policy
	defined map[string]bool // names of witnesses and groups share one space
	member  map[string]bool // names that are members of a group
	keys    []Key           // of the log and the witnesses so far
}

func (r *policyReader) line(line string) error {
	for i := range len(line) {
		if c := line[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return fmt.Errorf("control character %#02x at byte %d", c, i)
		}
	}
	words := strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' })
	if len(words) == 0 || words[0][0] == '#' {
		return nil
	}
	switch words[0] {
	case "log":
		return r.log(words[1:])
	case "witness":
		return r.witness(words[1:])
	case "group":
		return r.group(words[1:])
	case "quorum":
		return r.quorum(words[1:])
	}
	return fmt.Errorf("%.40q: want log, witness, group, quorum or #", words[0])
}

func (r *policyReader) log(words []string) error {
	if len(words) < 1 || len(words) > 2 {
		return errors.New("want log <vkey> [<url>]")
	}
	if r.policy.Log.Name != "" {
		return errors.New("a second log: want exactly one")
	}
	key, err := r.key(words[0], Ed25519)
	if err != nil {
		return err
	}
	if _, err := name.ParseOrigin(key.Name); err != nil {
		return fmt.Errorf("the log's key name: %w", err)
	}
	r.policy.Log = key
	if len(words) == 2 {
		r.policy.LogURL = words[1]
	}
	return nil
}

func (r *policyReader) witness(words []string) error {
	if len(words) < 2 || len(words) > 3 {
		return errors.New("want witness <name> <vkey> [<url>]")
	}
	if err := r.define(words[0]); err != nil {
		return err
	}
	key, err := r.key(words[1], Cosignature)
	if err != nil {
		return err
	}
	w := Witness{Name: words[0], Key: key}
	if len(words) == 3 {
		w.URL = words[2]
	}
	r.policy.Witnesses = append(r.policy.Witnesses, w)
	return nil
}

func (r *policyReader) group(words []string) error {
	if len(words) < 3 {
		return errors.New("want a name, then all, any or a number, then the members")
	}
	g := Group{Name: words[0], Members: words[2:]}
	switch words[1] {
	case "all":
		g.Need = len(g.Members)
	case "any":
		g.Need = 1
	default:
		k, err := parseDecimal(words[1])
		if err != nil || k < 1 || k > uint64(len(g.Members)) {
			return fmt.Errorf("%.24q of %d members: want all, any or 1 to %[2]d", words[1], len(g.Members))
		}
		g.Need = int(k)
	}
	for _, m := range g.Members {
		if !r.defined[m] {
			return fmt.Errorf("member %.80q is not defined above", m)
		}
		// A witness that counts in two places would be one party with two votes.
		if r.member[m] {
			return fmt.Errorf("member %.80q is a member already: want each name in at most one group, once", m)
		}
		r.member[m] = true
	}
	if err := r.define(g.Name); err != nil {
		return err
	}
	r.policy.Groups = append(r.policy.Groups, g)
	return nil
}

func (r *policyReader) quorum(words []string) error {
	if len(words) != 1 {
		return errors.New("want quorum <name>")
	}
	if r.policy.Quorum != "" {
		return errors.New("a second quorum: want exactly one")
	}
	if words[0] != quorumNone && !r.defined[words[0]] {
		return fmt.Errorf("quorum %.80q is not defined above", words[0])
	}
	r.policy.Quorum = words[0]
	return nil
}

func (r *policyReader) define(name string) error {
	if name == quorumNone {
		return fmt.Errorf("the name %q is reserved", name)
	}
	if r.defined[name] {
		return fmt.Errorf("the name %.80q is defined twice", name)
	}
	r.defined[name] = true
	return nil
}

// key reads a vkey of the type that its line needs, and refuses one that the
// policy has already: one party under two names would count twice.
func (r *policyReader) key(vkey string, want KeyType) (Key, error) {
	k, err := ParseKey(vkey)
	switch {
	case err != nil:
		return Key{}, err
	case k.Type == MLDSA44 && want == Cosignature:
	case k.Type != want:
		return Key{}, fmt.Errorf("key %q is of type %#02x: want %#02x (0x01 for a log; 0x04, or 0x06 for ML-DSA-44, for a witness)", k.Name, uint8(k.Type), uint8(want))
	}
	for _, other := range r.keys {
		if string(other.Public) == string(k.Public) {
			return Key{}, fmt.Errorf("key %q has the public key of %q: want each key once", k.Name, other.Name)
		}
		// No line could say which of the two it is by, and the one that fails
		// would have the whole note refused.
		if other.Name == k.Name && other.ID == k.ID {
			return Key{}, fmt.Errorf("two keys are named %q with key id %08x", k.Name, k.ID)
		}
	}
	r.keys = append(r.keys, k)
	return k, nil
}
