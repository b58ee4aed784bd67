package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier/code"
)

type codeFile struct {
	Halves  []half     `json:"halves"`
	Codes   []codeCase `json:"codes"`
	LogVKey string     `json:"log_vkey"`
	QRs     []qrCase   `json:"qrs"`
	Bad     []badQR    `json:"qrs_refused"`
	Mine    string     `json:"compare_mine"`
	Compare []compare  `json:"compare"`
}

type half struct {
	Name       string `json:"name"`
	Identifier string `json:"identifier"`
	Keys       hexed  `json:"keys"`
	Digits     string `json:"digits"`
}

type codeCase struct {
	Name     string   `json:"name"`
	A        codeSide `json:"a"`
	B        codeSide `json:"b"`
	Code     string   `json:"code"`
	Extended string   `json:"extended"`
}

type codeSide struct {
	Identifier string   `json:"identifier"`
	Primary    hexed    `json:"primary"`
	Devices    []device `json:"devices"`
}

type qrCase struct {
	Name      string `json:"name"`
	QR        string `json:"qr"`
	LogID     hexed  `json:"log_id"`
	Mine      qrSide `json:"mine"`
	Yours     qrSide `json:"yours"`
	Size      uint64 `json:"size,string"`
	Root      hexed  `json:"root"`
	Signature hexed  `json:"signature"`
}

type qrSide struct {
	Account     hexed  `json:"account_id"`
	Generation  uint32 `json:"generation"`
	Seq         uint32 `json:"seq"`
	Event       hexed  `json:"event_id"`
	DevicesHash hexed  `json:"devices_hash"`
}

type badQR struct {
	Name  string `json:"name"`
	Why   string `json:"why"`
	Check string `json:"check"`
	QR    string `json:"qr"`
}

type compare struct {
	Name    string   `json:"name"`
	Theirs  string   `json:"theirs"`
	Why     string   `json:"why,omitempty"`
	Remains []string `json:"remains"`
}

func codes() (f codeFile) {
	half := func(label, id string, keys ...event.Key) {
		var joined []byte
		for _, k := range keys {
			joined = append(joined, k[:]...)
		}
		f.Halves = append(f.Halves, half{label, id, joined, code.Half([]byte(id), joined)})
	}
	c := newChain("")
	half("Ed25519", "alice", c.key("phone"))
	half("Curve25519, a phone number", "+15550000000", c.key("xphone"))
	half("two keys", "alice", c.key("phone"), c.key("xphone"))

	side := func(id, primary string, devices ...string) codeSide {
		s := codeSide{Identifier: id, Devices: []device{}}
		if primary != "" {
			s.Primary = raw(c.key(primary))
		}
		for i, d := range devices {
			s.Devices = append(s.Devices, device{uint32(i + 1), raw(c.key(d))})
		}
		return s
	}
	for _, x := range []struct {
		name string
		a, b codeSide
	}{
		{"two primaries", side("alice", "phone"), side("bob", "xphone")},
		{"the other way round", side("bob", "xphone"), side("alice", "phone")},
		{"companions change the extended code alone", side("alice", "phone", "laptop", "xtv"), side("bob", "xphone")},
		{"companions in another order", side("alice", "phone", "xtv", "laptop"), side("bob", "xphone")},
		{"both have companions", side("alice", "phone", "laptop", "xtv"), side("bob", "xphone", "xlaptop")},
		{"another identifier", side("Alice", "phone"), side("bob", "xphone")},
		{"re-registered", side("alice", "phone2"), side("bob", "xphone")},
		{"the same account on both sides", side("alice", "phone"), side("alice", "phone")},
		{"no key, no code", side("alice", ""), side("bob", "xphone")},
	} {
		a, b := x.a.side(), x.b.side()
		f.Codes = append(f.Codes, codeCase{x.name, x.a, x.b, code.Code(a, b), code.Extended(a, b)})
	}
	f.qrs()
	return f
}

func (s codeSide) side() code.Side {
	out := code.Side{Identifier: name.Identifier(s.Identifier)}
	if len(s.Primary) > 0 {
		out.Primary = event.Key(s.Primary)
	}
	for _, d := range s.Devices {
		out.Devices = append(out.Devices, event.Device{KeyIndex: d.KeyIndex, Key: event.Key(d.Key)})
	}
	return out
}

// head makes up the newest event of an account; another tells two apart.
func head(id name.Identifier, generation, seq uint32, another ...string) code.QRSide {
	what := fmt.Sprint(id, generation, seq, another)
	return code.QRSide{Account: id.AccountID(), Generation: generation, Seq: seq, Event: seed("event", what), Devices: seed("devices", what)}
}

func (f *codeFile) qrs() {
	signer := must(checkpoint.NewSigner(string(origin), liar.Seed("log", string(origin))))
	f.LogVKey = signer.Key().String()
	show := func(mine, yours code.QRSide, size uint64, another ...string) *code.QR {
		q := &code.QR{Log: origin.LogID(), Mine: mine, Yours: yours, Size: size, Root: seed("root", fmt.Sprint(size, another))}
		note := signer.Sign(checkpoint.Checkpoint{Origin: origin, Size: size, Root: q.Root})
		q.Signature = [64]byte(must(checkpoint.Parse(note)).Lines[0].Signature)
		return q
	}
	written := func(s code.QRSide) qrSide {
		return qrSide{s.Account[:], s.Generation, s.Seq, s.Event[:], s.Devices[:]}
	}
	a5, b7 := head("alice", 0, 5), head("bob", 2, 7)
	good := show(a5, b7, 1000)
	for _, x := range []struct {
		name string
		q    *code.QR
	}{{"a payload", good}, {"the least size", show(a5, b7, 2)}, {"the greatest size and seq", show(head("alice", 1<<32-1, 1<<32-2), b7, 1<<63-1)}} {
		q := x.q
		f.QRs = append(f.QRs, qrCase{x.name, q.String(), q.Log[:], written(q.Mine), written(q.Yours), q.Size, q.Root[:], q.Signature[:]})
	}

	text := good.String()
	change := func(c func(*code.QR)) string {
		q := *good
		c(&q)
		return q.String()
	}
	raw := must(base64.RawURLEncoding.DecodeString(text))
	for _, b := range []badQR{
		{"empty", "464 characters", "form", ""},
		{"a character more", "464 characters", "form", text + "A"},
		{"padding", "464 characters", "form", text + "=="},
		{"standard base64", "base64url", "form", text[:100] + "+" + text[101:]},
		{"a line break inside", "base64url", "form", text[:100] + "\n" + text[101:]},
		{"four line breaks at the end", "base64url", "form", text[:460] + "\r\n\r\n"},
		{"MST2", "begins with MST1", "form", base64.RawURLEncoding.EncodeToString(append([]byte("MST2"), raw[4:]...))},
		{"size 1", "a size is 2 to 2^63 - 1", "form", change(func(q *code.QR) { q.Size = 1 })},
		{"seq 2^32 - 1, yours", "no event has it", "form", change(func(q *code.QR) { q.Yours.Seq = 1<<32 - 1 })},
		{"another log", "check 1", "log", change(func(q *code.QR) { q.Log = name.Origin("keys.example.org/log2").LogID() })},
		{"another size", "check 2", "signature", change(func(q *code.QR) { q.Size++ })},
		{"another signature", "check 2", "signature", change(func(q *code.QR) { q.Signature[0] ^= 1 })},
	} {
		q, err := code.ParseQR(b.QR)
		if b.Check != "form" {
			err = must(q, err).VerifySignature(signer.Key())
		}
		agree(err != nil, "QR %q is accepted", b.Name)
		f.Bad = append(f.Bad, b)
	}

	// The reader is alice, who scans what bob shows.
	mine := show(a5, b7, 1000)
	f.Mine = mine.String()
	b8, a6 := head("bob", 2, 8), head("alice", 0, 6)
	otherDevices, otherEvent := b7, b7
	otherDevices.Devices, otherEvent.Event = seed("other devices"), seed("other event")
	for _, x := range []struct {
		name    string
		theirs  *code.QR
		why     string
		remains []string
	}{
		{"the same", show(b7, a5, 1000), "", nil},
		{"theirs is of a larger tree", show(b7, a5, 1001), "", []string{"consistency"}},
		{"bob knows more of himself", show(b8, a5, 1000), "", []string{"chain bob, fetched"}},
		{"bob knows more of alice, under a larger tree", show(b7, a6, 1001), "", []string{"chain alice, fetched", "consistency"}},
		{"bob knows more of himself and less of alice", show(b8, head("alice", 0, 4), 1000), "", []string{"chain alice, at hand", "chain bob, fetched"}},
		{"bob shows what he would show eve", show(b7, head("eve", 0, 5), 1000), "account", nil},
		{"alice's own payload", mine, "account", nil},
		{"bob re-registered", show(head("bob", 3, 9), a5, 1000), "generation", nil},
		{"another event at one seq", show(otherEvent, a5, 1000), "head", nil},
		{"another list at one seq", show(otherDevices, a5, 1001), "head", nil},
		{"another root at one size", show(b7, a5, 1000, "other"), "root", nil},
	} {
		c, err := code.Compare(mine, x.theirs)
		var mismatch *code.Error
		got := ""
		if errors.As(err, &mismatch) {
			got = string(mismatch.Mismatch)
		}
		n := len(c.Chains)
		if c.Smaller != nil {
			n++
		}
		agree(got == x.why && n == len(x.remains), "comparison %q: %v %+v", x.name, err, c)
		f.Compare = append(f.Compare, compare{x.name, x.theirs.String(), x.why, append([]string{}, slices.Clone(x.remains)...)})
	}
}
