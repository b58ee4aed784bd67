package device_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/verifier/device"
)

func TestFromRefusesWhatNobodyVerified(t *testing.T) {
	if _, err := device.From(logID, &verifier.Found{ID: alice}); err == nil {
		t.Error("a Found without status became a head")
	}
}

func TestHeadRefusesDrafts(t *testing.T) {
	w, phone, laptop, _ := family(t)
	spare := newKey(t, 9).Public()
	known := head(t, newAgent(w))
	unknown := head(t, newAgent(newWorld()))
	w.erase(t)
	erased := head(t, newAgent(w))
	var small event.Key
	small[0] = event.KeyEd25519
	small[1] = 1 // the identity

	cases := []struct {
		name  string
		draft func() (*device.Draft, error)
		rule  event.Rule
		says  string
	}{
		{"register a known account", func() (*device.Draft, error) { return known.Register(spare, now) }, "", "exists"},
		{"register an erased account", func() (*device.Draft, error) { return erased.Register(spare, now) }, "", "exists"},
		{"register a bad key", func() (*device.Draft, error) { return unknown.Register(small, now) }, event.RuleNotAdmitted, ""},
		{"add to an unknown account", func() (*device.Draft, error) { return unknown.AddDevice(spare, now) }, "", "register it first"},
		{"add to an erased account", func() (*device.Draft, error) { return erased.AddDevice(spare, now) }, "", "erased"},
		{"add a bad key", func() (*device.Draft, error) { return known.AddDevice(small, now) }, event.RuleNotAdmitted, ""},
		{"add a device again", func() (*device.Draft, error) { return known.AddDevice(laptop.Public(), now) }, event.RuleKeyUsed, ""},
		{"add the primary", func() (*device.Draft, error) { return known.AddDevice(phone.Public(), now) }, event.RuleKeyUsed, ""},
		{"remove what is not there", func() (*device.Draft, error) { return known.RemoveDevice(7, event.Primary, now) }, "", "key_index 7"},
		{"remove by a stranger", func() (*device.Draft, error) { return known.RemoveDevice(1, 2, now) }, "", "signed by"},
		{"remove from an unknown account", func() (*device.Draft, error) { return unknown.RemoveDevice(1, event.Primary, now) }, "", "register it first"},
		{"re-register an unknown account", func() (*device.Draft, error) { return unknown.Reregister(spare, false, now) }, "", "register it first"},
		{"re-register a used key", func() (*device.Draft, error) { return known.Reregister(laptop.Public(), true, now) }, event.RuleKeyUsed, ""},
		{"endorse after an erasure", func() (*device.Draft, error) { return erased.Reregister(spare, true, now) }, "", "nobody can endorse"},
		{"confirm an unknown account", func() (*device.Draft, error) { return unknown.Confirm(now) }, "", "register it first"},
		{"confirm an erased account", func() (*device.Draft, error) { return erased.Confirm(now) }, "", "erased"},
		{"a clock before 1970", func() (*device.Draft, error) { return known.Confirm(time.UnixMilli(-1)) }, "", "clock"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d, err := c.draft()
			if err == nil || d != nil {
				t.Fatal("drafted")
			}
			if rule(err) != c.rule || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A key that was removed is known as used as long as its events are at hand.
func TestHeadRemembersOpenedKeys(t *testing.T) {
	w, phone, laptop, _ := family(t)
	a := newAgent(w)
	w.must(t, draft(t)(head(t, a).RemoveDevice(1, event.Primary, now)), phone)
	if _, err := head(t, newAgent(w)).AddDevice(laptop.Public(), now); rule(err) != event.RuleKeyUsed {
		t.Errorf("a removed key came back: %v", err)
	}
}

// ERASE forgets: a key from before may be introduced again.
func TestHeadForgetsErasedKeys(t *testing.T) {
	w, phone, _, _ := family(t)
	w.erase(t)
	found := &verifier.Found{ID: alice, Status: verifier.Erased, Seq: w.at.Next - 1, Event: w.at.Head, Events: w.events}
	h, err := device.From(logID, found)
	if err != nil {
		t.Fatal(err)
	}
	d := draft(t)(h.Reregister(phone.Public(), false, now))
	sign(t, d, phone)
	if _, err := d.Complete(); err != nil {
		t.Error(err)
	}
}

func TestListFull(t *testing.T) {
	found := &verifier.Found{ID: alice, Status: verifier.Changed, Seq: 400, Primary: newKey(t, 1).Public()}
	key := newKey(t, 2).Public() // whose number does not matter here
	for i := range 255 {
		found.Devices = append(found.Devices, event.Device{KeyIndex: uint32(i + 1), Key: key})
	}
	h, err := device.From(logID, found)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.AddDevice(newKey(t, 3).Public(), now); rule(err) != event.RuleListFull {
		t.Errorf("a 256th device: %v", err)
	}
	found.Devices = found.Devices[1:]
	if h, err = device.From(logID, found); err != nil {
		t.Fatal(err)
	}
	d := draft(t)(h.AddDevice(newKey(t, 3).Public(), now))
	if got, err := device.ParseDraft(d.Bytes()); err != nil || len(got.Devices()) != 255 {
		t.Errorf("the largest draft does not travel: %v", err)
	}
}

func TestLastSeq(t *testing.T) {
	h, err := device.From(logID, &verifier.Found{ID: alice, Status: verifier.Changed, Seq: 1<<32 - 2, Primary: newKey(t, 1).Public()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Confirm(now); err == nil {
		t.Error("drafted seq 2^32−1")
	}
}

// Each kind of event, from draft to completion, and what the list is after it.
func TestDrafts(t *testing.T) {
	w, phone, laptop, tablet := family(t)
	h := head(t, newAgent(w))
	fresh := newKey(t, 8)
	both := []event.Device{{KeyIndex: 1, Key: laptop.Public()}, {KeyIndex: 2, Key: tablet.Public()}}
	cases := []struct {
		name    string
		draft   *device.Draft
		signers []device.Signer
		after   []event.Device
	}{
		{"add", draft(t)(h.AddDevice(fresh.Public(), now)), []device.Signer{phone, fresh}, append(slices.Clone(both), event.Device{KeyIndex: 3, Key: fresh.Public()})},
		{"remove", draft(t)(h.RemoveDevice(1, event.Primary, now)), []device.Signer{phone}, both[1:]},
		{"log out", draft(t)(h.RemoveDevice(1, event.Subject, now)), []device.Signer{laptop}, both[1:]},
		{"re-register", draft(t)(h.Reregister(fresh.Public(), false, now)), []device.Signer{fresh}, nil},
		{"re-register, endorsed", draft(t)(h.Reregister(fresh.Public(), true, now)), []device.Signer{fresh, phone}, nil},
		{"confirm", draft(t)(h.Confirm(now)), []device.Signer{phone}, both},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if !slices.Equal(c.draft.Devices(), c.after) {
				t.Errorf("list after: %v, want %v", c.draft.Devices(), c.after)
			}
			for i, s := range c.signers {
				if _, err := c.draft.Complete(); err == nil {
					t.Fatalf("complete with %d signatures missing", len(c.signers)-i)
				}
				sign(t, c.draft, s)
			}
			e, err := c.draft.Complete()
			if err != nil {
				t.Fatal(err)
			}
			at := h.Account()
			if err := at.Apply(event.Check(e)); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(at.Devices, c.after) {
				t.Errorf("replay yields %v, want %v", at.Devices, c.after)
			}
		})
	}
}

func TestAfterOwnEvent(t *testing.T) {
	w, phone, _, _ := family(t)
	h := head(t, newAgent(w))
	first := draft(t)(h.RemoveDevice(1, event.Primary, now))
	sign(t, first, phone)
	own, err := first.Complete()
	if err != nil {
		t.Fatal(err)
	}
	next, err := h.After(own)
	if err != nil {
		t.Fatal(err)
	}
	second := draft(t)(next.RemoveDevice(2, event.Primary, now))
	if p := second.Payload(); p.Seq != own.Seq+1 || p.Prev != own.ID() || len(second.Devices()) != 0 {
		t.Errorf("the second event does not follow the first: %+v", p)
	}
	if _, err := next.After(own); err == nil {
		t.Error("the same event twice")
	}
	if h.Account().Next != own.Seq {
		t.Error("After changed the head it was asked of")
	}
}

// liar is a key store that fails in one way.
type liar struct {
	device.Signer
	err error
}

func (l liar) Sign([]byte) ([64]byte, error) { return [64]byte{1}, l.err }

func TestSignRefuses(t *testing.T) {
	w, phone, laptop, _ := family(t)
	h := head(t, newAgent(w))
	d := draft(t)(h.RemoveDevice(1, event.Primary, now))
	locked := errors.New("locked")
	cases := []struct {
		name   string
		role   event.Role
		signer device.Signer
		says   string
	}{
		{"a role that does not sign", event.Subject, laptop, "no signature by"},
		{"another key", event.Primary, laptop, "this signer has"},
		{"a key store that fails", event.Primary, liar{phone, locked}, "locked"},
		{"a key store that signs wrongly", event.Primary, liar{phone, nil}, "does not verify"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if err := d.Sign(c.role, c.signer); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
			if len(d.Missing()) != 1 {
				t.Error("a signature was added")
			}
		})
	}
}

// A link, half signed by the laptop, carried to the phone, which reviews it
// against its own view and signs what the user saw.
func TestHalfSignedDraftTravels(t *testing.T) {
	w, phone, _, _ := family(t)
	desktop := newKey(t, 4)
	made := draft(t)(head(t, newAgent(w)).AddDevice(desktop.Public(), now))
	sign(t, made, desktop)

	got, err := device.ParseDraftText(made.Text())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), made.Bytes()) {
		t.Fatal("the draft changed on its way")
	}
	if err := got.Sign(event.Primary, phone); err == nil {
		t.Fatal("signed without a review")
	}
	if _, err := got.Complete(); err == nil {
		t.Fatal("completed without a review")
	}
	if err := got.Review(head(t, newAgent(w)), now); err != nil {
		t.Fatal(err)
	}
	if list := got.Devices(); len(list) != 3 || list[2].Key != desktop.Public() {
		t.Fatalf("the phone is shown %v", list)
	}
	sign(t, got, phone)
	e, err := got.Complete()
	if err != nil {
		t.Fatal(err)
	}
	if o := w.take(e.Bytes()); o.Refused != nil || o.Err != nil {
		t.Fatal(o.Refused, o.Err)
	}
}

// What an attacker who makes or forwards drafts can try on a phone.
func TestReviewRefuses(t *testing.T) {
	w, phone, laptop, _ := family(t)
	rogue, desktop := newKey(t, 5), newKey(t, 4)
	mine := head(t, newAgent(w))

	// forge makes a draft over a view of the account that is not the phone's.
	forge := func(change func(*verifier.Found)) *device.Head {
		at := mine.Account()
		found := &verifier.Found{ID: at.ID, Status: verifier.Changed, Generation: at.Generation,
			Seq: at.Next - 1, Event: at.Head, Primary: at.Primary, Devices: at.Devices}
		change(found)
		h, err := device.From(logID, found)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	elsewhere, err := device.From(name.Origin("other.example/log").LogID(), &verifier.Found{ID: alice, Status: verifier.Changed, Primary: phone.Public()})
	if err != nil {
		t.Fatal(err)
	}
	slipped := forge(func(f *verifier.Found) {
		f.Devices[0].Key = rogue.Public() // in the laptop's place
	})
	left := forge(func(f *verifier.Found) { f.Devices = f.Devices[1:] })
	wrong := draft(t)(mine.AddDevice(desktop.Public(), now))
	sign(t, wrong, desktop)
	body := wrong.Bytes()
	body[bytes.LastIndex(body[:len(body)-3*39-2], []byte{0, 64})+2] ^= 1 // in the signature
	badSignature, err := device.ParseDraft(body)
	if err != nil {
		t.Fatal(err)
	}

	cases := []struct {
		name  string
		draft *device.Draft
		rule  event.Rule
	}{
		{"another log", draft(t)(elsewhere.Confirm(now)), event.RuleLog},
		{"another account", draft(t)(forge(func(f *verifier.Found) { f.ID[0] ^= 1 }).Confirm(now)), event.RuleAccount},
		{"an older seq", draft(t)(forge(func(f *verifier.Found) { f.Seq-- }).Confirm(now)), event.RuleSeq},
		{"a later seq", draft(t)(forge(func(f *verifier.Found) { f.Seq++ }).Confirm(now)), event.RuleSeq},
		{"another history", draft(t)(forge(func(f *verifier.Found) { f.Event[0] ^= 1 }).Confirm(now)), event.RulePrev},
		{"another generation", draft(t)(forge(func(f *verifier.Found) { f.Generation++ }).Confirm(now)), event.RuleGeneration},
		{"another primary", draft(t)(forge(func(f *verifier.Found) { f.Primary = rogue.Public() }).RemoveDevice(1, event.Subject, now)), event.RuleDevicesHash},
		{"a rogue device slipped in", draft(t)(slipped.AddDevice(desktop.Public(), now)), event.RuleDevicesHash},
		{"a rogue device to be confirmed", draft(t)(slipped.Confirm(now)), event.RuleDevicesHash},
		{"a device left out", draft(t)(left.Confirm(now)), event.RuleDevicesHash},
		{"the wrong device's removal", draft(t)(slipped.RemoveDevice(1, event.Primary, now)), event.RuleRow},
		{"a key used before", draft(t)(left.AddDevice(laptop.Public(), now)), event.RuleKeyUsed},
		{"from the future", draft(t)(mine.Confirm(now.Add(6 * time.Minute))), event.RuleTimeAhead},
		{"a wrong signature on it", badSignature, event.RuleSignature},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := device.ParseDraftText(c.draft.Text())
			if err != nil {
				t.Fatal(err)
			}
			if err := got.Review(mine, now); rule(err) != c.rule {
				t.Fatalf("got %v, want %s", err, c.rule)
			}
			if err := got.Sign(event.Primary, phone); err == nil {
				t.Error("signed what the review refused")
			}
		})
	}
}

// Where the phone's own verified view has the rogue device, the phone is shown
// it, and the bytes that it signs name that very list.
func TestWhatIsShownIsWhatIsSigned(t *testing.T) {
	w, phone, _, _ := family(t)
	rogue, desktop := newKey(t, 5), newKey(t, 4)
	w.must(t, draft(t)(head(t, newAgent(w)).AddDevice(rogue.Public(), now)), phone, rogue)

	made := draft(t)(head(t, newAgent(w)).AddDevice(desktop.Public(), now))
	got, err := device.ParseDraft(made.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Review(head(t, newAgent(w)), now); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(got.Devices(), func(d event.Device) bool { return d.Key == rogue.Public() }) {
		t.Fatal("the rogue device is not shown")
	}
	p := got.Payload()
	hash := event.DevicesHash(p.Log, p.Account, p.Generation, p.Primary, got.Devices())
	if !bytes.Contains(p.SignedBytes(event.Primary), hash[:]) {
		t.Error("the bytes to sign name another list than the one shown")
	}
}

// A draft whose list is not the one it commits to is never shown.
func TestParseDraftRefuses(t *testing.T) {
	w, phone, laptop, _ := family(t)
	h := head(t, newAgent(w))
	good := draft(t)(h.AddDevice(newKey(t, 4).Public(), now))
	sign(t, good, phone)
	edit := func(at int, b byte) []byte {
		body := good.Bytes()
		if at < 0 {
			at += len(body)
		}
		body[at] = b
		return body
	}
	list := len(good.Bytes()) - 3*39
	swapped := slices.Concat(good.Bytes()[:list], good.Bytes()[list+39:list+78], good.Bytes()[list:list+39], good.Bytes()[list+78:])
	logout := draft(t)(h.RemoveDevice(1, event.Subject, now))
	sign(t, logout, laptop)
	unsorted, err := device.From(logID, &verifier.Found{ID: alice, Status: verifier.Changed, Seq: 2, Primary: phone.Public(),
		Devices: []event.Device{{KeyIndex: 2, Key: newKey(t, 3).Public()}, {KeyIndex: 1, Key: laptop.Public()}}})
	if err != nil {
		t.Fatal(err)
	}
	other := logout.Bytes()
	other[4] = 1 // role 0 is to sign, role 1 has

	cases := []struct {
		name string
		body []byte
	}{
		{"empty", nil},
		{"another magic", edit(3, '2')},
		{"no signers", edit(4, 0)},
		{"one signer of two", edit(4, 1)},
		{"an unknown signer", edit(4, 7)},
		{"a signature by who does not sign", other},
		{"an operator's event", edit(7, byte(event.OperatorRemove))},
		{"an ERASE", edit(7, byte(event.Erase))},
		{"a newer event", edit(7, 9)},
		{"another key in the list", edit(-1, good.Bytes()[len(good.Bytes())-1]^1)},
		{"another key_index in the list", edit(list+3, 9)},
		{"devices swapped", swapped},
		{"devices out of order", draft(t)(unsorted.Confirm(now)).Bytes()},
		{"a key of an unknown type", edit(list+6, 9)},
		{"bytes that follow", append(good.Bytes(), 0)},
		{"too long", make([]byte, 1<<20)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, err := device.ParseDraft(c.body); err == nil {
				t.Error("accepted")
			}
		})
	}
	for i := range good.Bytes() {
		if _, err := device.ParseDraft(good.Bytes()[:i]); err == nil {
			t.Fatalf("accepted, cut after %d bytes", i)
		}
	}
	unsigned := draft(t)(h.Confirm(now))
	if len(unsigned.Bytes())%3 == 0 {
		t.Fatal("no spare bits in this draft's text")
	}
	loose := []byte(unsigned.Text()) // its last character carries bits that mean nothing
	loose[len(loose)-1]++
	for _, text := range []string{string(loose), good.Text() + "=", good.Text() + "\n", "\n" + good.Text(), "!", strings.Repeat("A", 1<<20)} {
		if _, err := device.ParseDraftText(text); err == nil {
			t.Errorf("accepted text of %d characters", len(text))
		}
	}
}

func FuzzParseDraft(f *testing.F) {
	t := f
	w, phone, laptop, _ := family(t)
	h := head(t, newAgent(w))
	for _, d := range []*device.Draft{
		draft(t)(h.AddDevice(newKey(t, 4).Public(), now)),
		draft(t)(h.RemoveDevice(1, event.Subject, now)),
		draft(t)(h.Reregister(newKey(t, 4).Public(), true, now)),
		draft(t)(h.Confirm(now)),
	} {
		f.Add(d.Bytes())
		for _, role := range d.Missing() {
			if d.Sign(role, phone) == nil || d.Sign(role, laptop) == nil {
				f.Add(d.Bytes())
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := device.ParseDraft(data)
		if err != nil {
			return
		}
		if !bytes.Equal(d.Bytes(), data) {
			t.Error("another encoding was accepted")
		}
		// Nothing that was not reviewed is ever signed or sent.
		if _, err := d.Complete(); err == nil {
			t.Error("complete without review")
		}
		_ = d.Review(h, now)
		again, err := device.ParseDraftText(d.Text())
		if err != nil || !bytes.Equal(again.Bytes(), data) {
			t.Errorf("the text does not come back: %v", err)
		}
	})
}
