package name_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/name"
)

func TestParseOrigin(t *testing.T) {
	for _, c := range []struct {
		origin string
		ok     bool
	}{
		{"keys.example.org/log1", true},
		{"a", true},
		{strings.Repeat("a", 255), true},
		{"", false},
		{strings.Repeat("a", 256), false},
		{"with space", false},
		{"with+plus", false},
		{"muster/v1", false},
		{"tab\there", false},
		{"ümlaut.example", false},
		{"line\n", false},
		{"\x7f", false},
	} {
		if _, err := name.ParseOrigin(c.origin); (err == nil) != c.ok {
			t.Errorf("ParseOrigin(%q): %v, want accepted: %v", c.origin, err, c.ok)
		}
	}
}

func TestParseIdentifier(t *testing.T) {
	for _, c := range []struct {
		identifier string
		ok         bool
	}{
		{"+15550000000", true},
		{"alice@example.org", true},
		{strings.Repeat("x", 256), true},
		{"", false},
		{strings.Repeat("x", 257), false},
		{"two words", false},
		{"nul\x00", false},
		{"älice", false},
		{"\u202egnp.exe", false},
	} {
		if _, err := name.ParseIdentifier(c.identifier); (err == nil) != c.ok {
			t.Errorf("ParseIdentifier(%q): %v, want accepted: %v", c.identifier, err, c.ok)
		}
	}
}

// The expected value comes from the accounts that Signal's library signed.
func TestAccountID(t *testing.T) {
	const want = "c3bd8c3078deb8c4eac024653e662e2ba081a21aa799bdfb34b36a2c0ce6665e"
	if got := name.Identifier("+15550000000").AccountID().String(); got != want {
		t.Errorf("account_id %s, want %s", got, want)
	}
}

func TestVRFInput(t *testing.T) {
	got := hex.EncodeToString(name.AccountID{0: 0xaa, 31: 0xbb}.Label().VRFInput(0x01020304))
	want := "21" + "01" + "aa" + strings.Repeat("00", 30) + "bb" + "01020304"
	if got != want {
		t.Errorf("VRF input %s, want %s", got, want)
	}
}
