package main

import "testing"

// Every name in heeds is one of a command and of its flags.
func TestHeeds(t *testing.T) {
	root := newRoot(&globals{terminal: new(terminal)})
	for name, flags := range heeds {
		if c, _, err := root.Find([]string{name}); err != nil || c.Name() != name {
			t.Errorf("no command %s: %v", name, err)
		}
		for flag := range flags {
			if root.PersistentFlags().Lookup(flag) == nil {
				t.Errorf("%s: no global flag --%s", name, flag)
			}
		}
	}
}
