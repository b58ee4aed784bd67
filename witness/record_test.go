package witness

import (
	"testing"

	"github.com/musterlog/muster/log/checkpoint"
)

// A record that is read gives its bytes again: parseRecord says so itself. Nothing
// that a disk may hold makes it panic.
func FuzzParseRecord(f *testing.F) {
	const origin = "example.org/log"
	signer, err := checkpoint.NewSigner(origin, [32]byte{1})
	if err != nil {
		f.Fatal(err)
	}
	text, lines, err := checkpoint.ParseSigned(signer.Sign(checkpoint.Checkpoint{Origin: origin, Size: 7}))
	if err != nil {
		f.Fatal(err)
	}
	foreign, err := checkpoint.ParseForeign(text)
	if err != nil {
		f.Fatal(err)
	}
	r := &record{time: 1_790_000_000, text: text, lines: lines, Foreign: foreign}
	if _, err := parseRecord(origin, r.encode(origin)); err != nil {
		f.Fatal(err)
	}
	f.Add(r.encode(origin))
	f.Add(new(record).encode(origin))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := parseRecord(origin, data); err == nil && r.time > 0 && r.Origin != origin {
			t.Errorf("a record of %q", r.Origin)
		}
	})
}

func FuzzParseLogs(f *testing.F) {
	signer, err := checkpoint.NewSigner("example.org/log", [32]byte{1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("# logs\n\nlog " + signer.Key().String() + "\n"))
	f.Add([]byte("log " + signer.Key().String() + "\nlog " + signer.Key().String() + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		logs, err := ParseLogs(data)
		seen := map[string]bool{}
		for i := range logs {
			if err == nil && seen[logs[i].Key.Name] {
				t.Errorf("two logs of one origin, %q", logs[i].Key.Name)
			}
			seen[logs[i].Key.Name] = true
		}
	})
}
