package credential

import (
	"slices"
	"testing"
	"time"
)

// Who may do what stays the same when the file is written again. Names and times are
// for people.
func FuzzParse(f *testing.F) {
	f.Add(header + "\n")
	f.Add(header + "\n00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff write 2026-11-26T20:00:00Z server one\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parse(text)
		if err != nil {
			return
		}
		again := header
		for i := range all {
			all[i].Added = time.Unix(0, 0)
			again += "\n" + all[i].line()
		}
		back, err := parse(again + "\n")
		same := err == nil && slices.EqualFunc(back, all, func(a, b Credential) bool { return a.Hash == b.Hash && a.Scope == b.Scope })
		if !same {
			t.Errorf("%q is written as %q: %v", text, again, err)
		}
	})
}

func FuzzParseToken(f *testing.F) {
	f.Add(NewToken().Reveal())
	f.Fuzz(func(t *testing.T, text string) {
		if token, err := ParseToken(text); err == nil && token.Reveal() != text {
			t.Errorf("a token has a second form")
		}
	})
}
