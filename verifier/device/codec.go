package device

import (
	"encoding/base64"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/event"
)

// draftMagic also names the version of the form.
const draftMagic = "MSD1"

var errForm = errors.New("malformed draft")

// Bytes is the draft as it travels between an account's devices:
//
//	"MSD1" || u8 signers || Event event<0..2^16-1> || Device devices<0..2^16-1>
//
// Bit r of signers says that role r signs; event carries the signatures so far;
// devices is the list after the event, so that who signs can show it.
func (d *Draft) Bytes() []byte {
	var b cryptobyte.Builder
	b.AddBytes([]byte(draftMagic))
	var signers uint8
	for _, role := range d.signers {
		signers |= 1 << role
	}
	b.AddUint8(signers)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(d.event().Bytes()) })
	event.AddDevices(&b, d.devices)
	return b.BytesOrPanic() // at most maxDevices devices: no length overflows
}

// Text is Bytes in base64url without padding, for QR codes and messages.
func (d *Draft) Text() string { return base64.RawURLEncoding.EncodeToString(d.Bytes()) }

// ParseDraftText reads what Text wrote.
func ParseDraftText(text string) (*Draft, error) {
	if len(text) > base64.RawURLEncoding.EncodedLen(maxDraft) {
		return nil, fmt.Errorf("%w: %d characters", errForm, len(text))
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	// The decoder skips line ends; one text has one form.
	if err != nil || len(text) != base64.RawURLEncoding.EncodedLen(len(data)) {
		return nil, fmt.Errorf("%w: want base64url without padding or line ends", errForm)
	}
	return ParseDraft(data)
}

// ParseDraft reads a draft, of which nothing is believed: its form alone is
// checked, and that its list is the one that its payload commits to. Review it
// before it is signed.
func ParseDraft(data []byte) (*Draft, error) {
	if len(data) > maxDraft {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", errForm, len(data), maxDraft)
	}
	s := cryptobyte.String(data)
	d := new(Draft)
	var magic []byte
	var signers uint8
	var body cryptobyte.String
	if !s.ReadBytes(&magic, len(draftMagic)) || string(magic) != draftMagic {
		return nil, fmt.Errorf("%w: does not begin with %s", errForm, draftMagic)
	}
	if !s.ReadUint8(&signers) || !s.ReadUint16LengthPrefixed(&body) {
		return nil, fmt.Errorf("%w: cut short", errForm)
	}
	devices, err := event.ReadDevices(&s)
	if err != nil || !s.Empty() {
		return nil, fmt.Errorf("%w: its device list is malformed or bytes follow", errForm)
	}
	e, err := event.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("reading a draft: %w", err)
	}
	d.payload, d.signatures = e.Payload, e.Signatures
	if err := d.readSigners(signers); err != nil {
		return nil, err
	}
	if err := checkList(devices); err != nil {
		return nil, err
	}
	d.devices = devices
	p := &d.payload
	if p.DevicesHash != event.DevicesHash(p.Log, p.Account, p.Generation, p.Primary, d.devices) {
		return nil, fmt.Errorf("%w: the list it shows is not the list it signs", errForm)
	}
	return d, nil
}

func (d *Draft) readSigners(bits uint8) error {
	for _, role := range []event.Role{event.Primary, event.Subject} {
		if bits&(1<<role) != 0 {
			d.signers = append(d.signers, role)
		}
		bits &^= 1 << role
	}
	if bits != 0 || !d.signersFit() {
		return fmt.Errorf("%w: %s by roles %v", errForm, d.payload.Type, d.signers)
	}
	if len(d.Missing()) != len(d.signers)-len(d.signatures) {
		return fmt.Errorf("%w: a signature by who does not sign", errForm)
	}
	return nil
}

func checkList(list []event.Device) error {
	if len(list) > maxDevices {
		return fmt.Errorf("%w: over %d devices", errForm, maxDevices)
	}
	for i := range list {
		if i > 0 && list[i-1].KeyIndex >= list[i].KeyIndex {
			return fmt.Errorf("%w: devices are not in ascending order", errForm)
		}
	}
	return nil
}
