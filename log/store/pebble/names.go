package pebble

import (
	"bytes"
	"errors"

	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
)

// names are those that all rows would repeat: that of the log. In front of an
// event's body they stand behind its type, the log's and then the account's (protocol
// section 3.1); rows leave out what they or the store know, 64 of some 450 bytes.
type names struct {
	log name.LogID // zero before GENESIS
}

// Where the two names stand in a body.
const (
	namesAt  = 1
	namesEnd = namesAt + 32 + 32
)

// A row has the one form that fits.
const (
	formWhole = 0
	formShort = 1
)

func (n names) formOf(e *store.Event) byte {
	if len(e.Body) >= namesEnd && bytes.Equal(e.Body[namesAt:namesAt+32], n.log[:]) && bytes.Equal(e.Body[namesAt+32:namesEnd], e.Account[:]) {
		return formShort
	}
	return formWhole
}

// namesOf are those of the log that begins with a leaf. Of one that is no GENESIS
// they are zero, and nothing is left out.
func namesOf(first []byte) names {
	if l, err := leaf.Parse(first); err == nil {
		if g, ok := l.(*leaf.Genesis); ok {
			return names{g.Origin.LogID()}
		}
	}
	return names{}
}

// readNames finds them in a store that is opened.
func (s *Store) readNames() error {
	var n names
	err := s.read(leafKey(0), func(value []byte) error {
		n = namesOf(value)
		return nil
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	s.names.Store(&n)
	return nil
}
