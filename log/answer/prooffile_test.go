package answer_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/answer"
)

func TestProofFileHasOneForm(t *testing.T) {
	f := &answer.ProofFile{Identifier: "+15550000000", Answer: []byte("an answer")}
	good := f.Bytes()
	if want := "muster-proof/v1\n+15550000000\nYW4gYW5zd2Vy\n"; string(good) != want {
		t.Fatalf("%q, want %q", good, want)
	}
	back, err := answer.ParseProofFile(good)
	if err != nil || back.Identifier != f.Identifier || !bytes.Equal(back.Answer, f.Answer) {
		t.Fatalf("%+v, %v", back, err)
	}
	for what, bad := range map[string]string{
		"nothing":              "",
		"another header":       strings.Replace(string(good), "v1", "v2", 1),
		"no end":               string(good[:len(good)-1]),
		"a line more":          string(good) + "\n",
		"a line less":          "muster-proof/v1\n+15550000000\n",
		"CR LF":                strings.ReplaceAll(string(good), "\n", "\r\n"),
		"CR in the base64":     strings.Replace(string(good), "YW4g", "YW4\rg", 1),
		"no padding":           strings.Replace(string(good), "YW4gYW5zd2Vy", "YW4gYW5zd2VyIQ", 1),
		"padding bits":         strings.Replace(string(good), "YW4gYW5zd2Vy", "YW4gYW5zd2VyIR==", 1),
		"no identifier":        strings.Replace(string(good), "+15550000000", "", 1),
		"a space in the name":  strings.Replace(string(good), "+1555", "+1 555", 1),
		"another base64":       strings.Replace(string(good), "YW4g", "YW4-", 1),
		"longer than any file": strings.Repeat("A", answer.MaxProofFile+1),
	} {
		if _, err := answer.ParseProofFile([]byte(bad)); err == nil {
			t.Errorf("%s: read", what)
		}
	}
}

func FuzzParseProofFile(f *testing.F) {
	f.Add([]byte("muster-proof/v1\n+15550000000\nYW4gYW5zd2Vy\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := answer.ParseProofFile(data)
		if err == nil && !bytes.Equal(p.Bytes(), data) {
			t.Errorf("%q has a second form, %q", p.Bytes(), data)
		}
	})
}
