package event_test

import (
	"slices"
	"testing"

	"github.com/musterlog/muster/log/event"
)

// Who signed is told by what a role means in each type of event.
func TestSigners(t *testing.T) {
	for _, c := range []struct {
		typ   event.Type
		roles []event.Role
		want  []string
	}{
		{event.Register, []event.Role{event.Primary}, []string{"primary"}},
		{event.AddDevice, []event.Role{event.Primary, event.Subject}, []string{"primary", "device"}},
		{event.RemoveDevice, []event.Role{event.Subject}, []string{"device"}},
		{event.Reregister, []event.Role{event.Primary, event.Subject}, []string{"primary", "previous-primary"}},
		{event.OperatorRemove, nil, []string{"operator"}},
		{event.Erase, nil, []string{"operator"}},
	} {
		e := event.Event{Payload: event.Payload{Type: c.typ}}
		for _, r := range c.roles {
			e.Signatures = append(e.Signatures, event.Signature{Role: r})
		}
		if got := e.Signers(); !slices.Equal(got, c.want) {
			t.Errorf("type %d with roles %v: signed by %v, want %v", c.typ, c.roles, got, c.want)
		}
	}
}
