package monitor

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
)

// Approvals is what the owner expects. The zero value expects nothing.
type Approvals struct {
	events  map[name.EventID]bool
	changes map[change]bool
}

// change is what may happen to a key.
type change struct {
	kind Kind
	key  event.Key
}

// verbs are the words of a list, and what each expects.
var verbs = map[string]Kind{
	"register": Registered, "add": DeviceAdded, "remove": DeviceRemoved, "reregister": Reregistered,
}

// ParseApprovals reads a list: a line each for
//
//	EVENT_ID            that one event, 64 hex digits
//	register KEY        the account begins with this primary
//	add KEY             this device is linked
//	remove KEY          this device is unlinked, by whomever
//	reregister KEY      this primary replaces the one before
//	KEY                 any of the four
//
// KEY has 66 hex digits, type byte first. Empty lines and lines that begin with
// # are left out. An ERASE is approved by its event_id alone.
func ParseApprovals(text string) (*Approvals, error) {
	a := &Approvals{events: map[name.EventID]bool{}, changes: map[change]bool{}}
	lines := strings.Split(text, "\n")
	if len(lines) > maxApprovals {
		return nil, fmt.Errorf("%d lines of approvals, at most %d are read: leave out what was told already", len(lines), maxApprovals)
	}
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := a.add(strings.Fields(line)); err != nil {
			return nil, fmt.Errorf("approval in line %d: %w: want EVENT_ID, KEY, or register, add, remove or reregister and KEY, all in hexadecimal", i+1, err)
		}
	}
	return a, nil
}

func (a *Approvals) add(words []string) error {
	if len(words) > 2 {
		return fmt.Errorf("%d words", len(words))
	}
	raw, err := hex.DecodeString(words[len(words)-1])
	if err != nil {
		return err
	}
	if len(words) == 1 && len(raw) == len(name.EventID{}) {
		a.events[name.EventID(raw)] = true
		return nil
	}
	key, err := event.ParseKey(raw)
	if err != nil {
		return err
	}
	if len(words) == 1 {
		for _, kind := range verbs {
			a.changes[change{kind, key}] = true
		}
		return nil
	}
	kind, ok := verbs[words[0]]
	if !ok {
		return fmt.Errorf("unknown word %q", words[0])
	}
	a.changes[change{kind, key}] = true
	return nil
}

func (a *Approvals) expects(e *event.Event) bool {
	if a == nil {
		return false
	}
	kind, _ := kindOf(e)
	return a.events[e.ID()] || a.changes[change{kind, e.About()}]
}
