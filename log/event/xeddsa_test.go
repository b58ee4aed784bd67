package event

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// With the signer's randomness fixed, libsignal's variant has one signature.
// In the package, because nobody else may choose that randomness.
func TestSignXEdDSAIsLibsignals(t *testing.T) {
	b, err := os.ReadFile("../../testdata/xeddsa/xeddsa.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Signatures []struct {
			Name      string
			Private   string `json:"private_hex"`
			Message   string `json:"message_hex"`
			Random    string `json:"random64_hex"`
			Signature string `json:"signature_hex"`
		}
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	signed := 0
	for _, s := range v.Signatures {
		if !strings.HasPrefix(s.Name, "libsignal_sign") {
			continue
		}
		signed++
		sig, err := signXEdDSA([32]byte(unhex(t, s.Private)), unhex(t, s.Message), [64]byte(unhex(t, s.Random)))
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(sig[:]); got != s.Signature {
			t.Errorf("%s: signature %s, want %s", s.Name, got, s.Signature)
		}
	}
	if signed != 6 {
		t.Errorf("%d signatures made, want 6", signed)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
