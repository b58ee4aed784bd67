package code_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier/code"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// libsignal's own vectors, and two derived ones of which one has the protocol's
// number of iterations.
func TestFingerprintVectors(t *testing.T) {
	data, err := os.ReadFile("../../testdata/fingerprint/fingerprint.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			Name       string
			Iterations int
			LocalID    string `json:"local_id_hex"`
			LocalKey   string `json:"local_key_hex"`
			RemoteID   string `json:"remote_id_hex"`
			RemoteKey  string `json:"remote_key_hex"`
			Display    string
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, v := range file.Vectors {
		if v.Iterations != 5200 {
			continue
		}
		checked++
		local := code.Side{Identifier: name.Identifier(unhex(t, v.LocalID)), Primary: event.Key(unhex(t, v.LocalKey))}
		remote := code.Side{Identifier: name.Identifier(unhex(t, v.RemoteID)), Primary: event.Key(unhex(t, v.RemoteKey))}
		if got := code.Code(local, remote); got != v.Display {
			t.Errorf("%s: code %s, want %s", v.Name, got, v.Display)
		}
		if got := code.Code(remote, local); got != v.Display {
			t.Errorf("%s: the other side reads %s, want %s", v.Name, got, v.Display)
		}
	}
	if checked != 3 {
		t.Errorf("%d vectors with 5200 iterations, want 3", checked)
	}
}

// The safety numbers that the official Signal client library prints.
func TestSignalSafetyNumbers(t *testing.T) {
	f, err := os.Open("../../testdata/libsignal/accounts.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	checked := 0
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var v struct {
			Code    string
			Between []name.Identifier
			Keys    []string
		}
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		if v.Code == "" {
			continue // an event
		}
		checked++
		a := code.Side{Identifier: v.Between[0], Primary: event.Key(unhex(t, v.Keys[0]))}
		b := code.Side{Identifier: v.Between[1], Primary: event.Key(unhex(t, v.Keys[1]))}
		if got := code.Code(a, b); got != v.Code {
			t.Errorf("%s and %s: code %s, want %s", a.Identifier, b.Identifier, got, v.Code)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if checked != 20 {
		t.Errorf("%d codes, want 20", checked)
	}
}

func key(typ, fill byte) event.Key {
	return event.Key(append([]byte{typ}, bytes.Repeat([]byte{fill}, 32)...))
}

func TestWhatChangesACode(t *testing.T) {
	bob := code.Side{Identifier: "bob", Primary: key(1, 9)}
	alone := code.Side{Identifier: "alice", Primary: key(5, 2)}
	phone, laptop := event.Device{KeyIndex: 1, Key: key(1, 3)}, event.Device{KeyIndex: 2, Key: key(5, 1)}
	with := func(devices ...event.Device) code.Side {
		s := alone
		s.Devices = devices
		return s
	}
	reregistered, renamed := alone, alone
	reregistered.Primary = key(5, 4)
	renamed.Identifier = "Alice"

	base := code.Code(alone, bob)
	if got := code.Extended(alone, bob); got != base {
		t.Errorf("extended code without devices %s, code %s: want the same", got, base)
	}
	one, both := code.Extended(with(phone), bob), code.Extended(with(phone, laptop), bob)
	for _, c := range []struct {
		name string
		got  string
		want string
		same bool
	}{
		{"code, a device more", code.Code(with(phone), bob), base, true},
		{"code, two devices more", code.Code(with(phone, laptop), bob), base, true},
		{"code, re-registered", code.Code(reregistered, bob), base, false},
		{"code, another identifier", code.Code(renamed, bob), base, false},
		{"code, key of another type", code.Code(code.Side{Identifier: "alice", Primary: key(1, 2)}, bob), base, false},
		{"extended, a device more", one, base, false},
		{"extended, two devices more", both, one, false},
		{"extended, devices in another order", code.Extended(with(laptop, phone), bob), both, true},
		{"extended, the other side", code.Extended(bob, with(phone, laptop)), both, true},
		{"extended, other key_index", code.Extended(with(event.Device{KeyIndex: 7, Key: phone.Key}), bob), one, true},
	} {
		if (c.got == c.want) != c.same {
			t.Errorf("%s: %s against %s, want the same: %v", c.name, c.got, c.want, c.same)
		}
		if len(c.got) != 60 || strings.Trim(c.got, "0123456789") != "" {
			t.Errorf("%s: %q is not 60 digits", c.name, c.got)
		}
	}
	// Sorted bytewise, type first: laptop's and alice's type 5 after phone's type 1.
	joined := string(phone.Key[:]) + string(laptop.Key[:]) + string(alone.Primary[:])
	if half := code.Half([]byte("alice"), []byte(joined)); !strings.Contains(both, half) {
		t.Errorf("extended code %s lacks the half %s of the sorted keys", both, half)
	}
}

func TestNoCodeWithoutAKey(t *testing.T) {
	bob := code.Side{Identifier: "bob", Primary: key(1, 9)}
	erased := code.Side{Identifier: "alice"}
	for _, got := range []string{
		code.Code(erased, bob), code.Code(bob, erased), code.Code(erased, erased),
		code.Extended(erased, bob), code.Extended(bob, erased),
	} {
		if got != "" {
			t.Errorf("code %q over an account without a key", got)
		}
	}
}

func TestGroup(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"a code", strings.Repeat("0123456789", 6), strings.TrimSpace(strings.Repeat("01234 56789 ", 6))},
		{"none", "", ""},
		{"no multiple of five", "1234567", "12345 67"},
	} {
		if got := code.Group(c.in); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func BenchmarkCode(b *testing.B) {
	x, y := code.Side{Identifier: "bob", Primary: key(1, 9)}, code.Side{Identifier: "alice", Primary: key(5, 2)}
	b.ReportAllocs()
	for b.Loop() {
		code.Code(x, y)
	}
}
