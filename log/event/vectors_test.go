package event_test

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
)

// Accounts whose keys and signatures the official Signal library made: each
// event must parse, re-encode, replay to the list beside it, and also serve as
// an anchor with that list where it can be one.
func TestLibsignalAccounts(t *testing.T) {
	f, err := os.Open("../../testdata/libsignal/accounts.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	log := name.Origin("example.org/muster-vectors").LogID()
	accounts := map[name.AccountID]*event.Account{}
	events, anchors := 0, 0
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var v struct {
			Identifier, Event string
			AccountID         string `json:"account_id"`
			EventID           string `json:"event_id"`
			Devices           [][2]any
		}
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		if v.Event == "" {
			continue // a safety number, tested where codes are
		}
		events++
		id := name.Identifier(v.Identifier).AccountID()
		if id.String() != v.AccountID {
			t.Fatalf("account_id of %s is %s, want %s", v.Identifier, id, v.AccountID)
		}
		raw, err := base64.StdEncoding.Strict().DecodeString(v.Event)
		if err != nil {
			t.Fatal(err)
		}
		e, err := event.Parse(raw)
		if err != nil {
			t.Fatalf("%s: %v", v.Identifier, err)
		}
		if string(e.Bytes()) != string(raw) {
			t.Errorf("%s seq %d does not re-encode", v.Identifier, e.Seq)
		}
		a := accounts[id]
		if a == nil {
			a = event.NewAccount(log, id)
			accounts[id] = a
		}
		c := event.Check(e)
		if err := a.Apply(c); err != nil {
			t.Fatalf("%s seq %d: %v", v.Identifier, e.Seq, err)
		}
		if c.ID().String() != v.EventID || a.Head != c.ID() {
			t.Errorf("%s seq %d: event_id %s, want %s", v.Identifier, e.Seq, c.ID(), v.EventID)
		}
		if got, want := fmt.Sprint(a.Devices), listed(t, v.Devices); got != want {
			t.Errorf("%s seq %d: devices %s, want %s", v.Identifier, e.Seq, got, want)
		}
		if len(e.Signatures) > 0 && e.Signatures[0].Role == event.Primary {
			anchors++
			if _, err := event.Anchor(log, id, c, a.Devices); err != nil {
				t.Errorf("%s seq %d as an anchor: %v", v.Identifier, e.Seq, err)
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if events != 170 || len(accounts) != 40 || anchors == 0 {
		t.Errorf("%d events of %d accounts, %d anchors: want 170 of 40", events, len(accounts), anchors)
	}
}

func listed(t *testing.T, devices [][2]any) string {
	t.Helper()
	var list []event.Device
	for _, d := range devices {
		k, err := event.ParseKey(unhex(t, d[1].(string)))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, event.Device{KeyIndex: uint32(d[0].(float64)), Key: k})
	}
	return fmt.Sprint(list)
}

type xeddsaVectors struct {
	Signatures []struct {
		Name, Source  string
		Private       string `json:"private_hex"`
		U             string `json:"public_u_hex"`
		Message       string `json:"message_hex"`
		Random        string `json:"random64_hex"`
		Signature     string `json:"signature_hex"`
		StrictAccepts bool   `json:"strict_accepts"`
	}
	Keys []struct {
		Name, Why string
		U         string `json:"u_hex"`
		Admit     bool
	}
	Agreements []struct{ APriv, APub, BPriv, BPub string }
}

func readXEdDSA(t *testing.T) (v xeddsaVectors) {
	t.Helper()
	b, err := os.ReadFile("../../testdata/xeddsa/xeddsa.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Signatures) != 19 || len(v.Keys) != 11 || len(v.Agreements) == 0 {
		t.Fatalf("%d signatures, %d keys: the file is not whole", len(v.Signatures), len(v.Keys))
	}
	return v
}

func TestXEdDSAVectors(t *testing.T) {
	v := readXEdDSA(t)
	for _, s := range v.Signatures {
		t.Run(s.Name, func(t *testing.T) {
			k := curveKey(t, s.U)
			message, sig := unhex(t, s.Message), [64]byte(unhex(t, s.Signature))
			if got := event.VerifySignature(k, message, sig); got != s.StrictAccepts {
				t.Errorf("accepted: %t, want %t (%s)", got, s.StrictAccepts, s.Source)
			}
			if s.StrictAccepts {
				sig[5] ^= 1
				if event.VerifySignature(k, message, sig) {
					t.Error("accepted with a bit flipped")
				}
			}
			if s.Private == "" {
				return
			}
			private, err := event.NewPrivateKey(event.KeyCurve25519, [32]byte(unhex(t, s.Private)))
			if err != nil {
				t.Fatal(err)
			}
			if private.Public() != k {
				t.Errorf("public key %s, want %s", private.Public(), k)
			}
		})
	}
	for _, k := range v.Keys {
		t.Run("admit "+k.Name, func(t *testing.T) {
			if err := event.Admit(curveKey(t, k.U)); (err == nil) != k.Admit {
				t.Errorf("Admit: %v, want admitted: %t (%s)", err, k.Admit, k.Why)
			}
		})
	}
	for _, a := range v.Agreements {
		for private, public := range map[string]string{a.APriv: a.APub, a.BPriv: a.BPub} {
			k, err := event.NewPrivateKey(event.KeyCurve25519, [32]byte(unhex(t, private)))
			if err != nil {
				t.Fatal(err)
			}
			if k.Public() != curveKey(t, public) {
				t.Errorf("public key %s, want 05%s", k.Public(), public)
			}
		}
	}
}

func curveKey(t *testing.T, u string) event.Key {
	t.Helper()
	return event.Key(append([]byte{event.KeyCurve25519}, unhex(t, u)...))
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
