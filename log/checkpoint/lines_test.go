package checkpoint_test

import (
	"fmt"
	"testing"

	"github.com/musterlog/muster/log/checkpoint"
)

func FuzzParseLines(f *testing.F) {
	line := newCosigner(0).Cosign(at(9).Text(), 1).String() + "\n"
	f.Add([]byte(line))
	f.Add([]byte(line + newCosigner(1).Cosign(at(9).Text(), 2).String() + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		lines, err := checkpoint.ParseLines(data)
		if err != nil {
			return
		}
		var again string
		for _, l := range lines {
			again += l.String() + "\n"
		}
		if again != string(data) || len(lines) == 0 {
			t.Errorf("%q has a second form, %q", again, data)
		}
	})
}

func FuzzParseConflict(f *testing.F) {
	f.Add([]byte("70000\n"))
	f.Add([]byte("0\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := checkpoint.ParseConflict(data); err == nil && fmt.Sprintln(c.Size) != string(data) {
			t.Errorf("%q is size %d", data, c.Size)
		}
	})
}

// What a witness reads of any log. Three lines are a checkpoint of ours too, in one form.
func FuzzParseForeign(f *testing.F) {
	f.Add(at(9).Text())
	f.Add(at(9).Text() + "an extension\n")
	f.Fuzz(func(t *testing.T, text string) {
		foreign, err := checkpoint.ParseForeign(text)
		if c, ours := checkpoint.ParseText(text); ours == nil && (err != nil || c.Text() != text || foreign.Size != c.Size || foreign.Root != [32]byte(c.Root)) {
			t.Errorf("%q is %+v to us, %+v (%v) to a witness", text, c, foreign, err)
		}
	})
}
