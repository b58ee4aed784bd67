package event

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/name"
)

// Device is a companion in an account's list.
type Device struct {
	KeyIndex uint32 // seq of the event that added it: names the device for ever
	Key      Key
}

// AddDevices appends a list as answers, states and drafts carry it (section 5):
//
//	Device devices<0..2^16-1>, each: u32 key_index || u16 len || key
func AddDevices(b *cryptobyte.Builder, devices []Device) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for i := range devices {
			b.AddUint32(devices[i].KeyIndex)
			b.AddBytes(devices[i].Key.append(make([]byte, 0, 2+KeySize)))
		}
	})
}

// ReadDevices reads such a list from s and leaves what follows it. It judges
// neither order nor number nor the keys' admission.
func ReadDevices(s *cryptobyte.String) ([]Device, error) {
	var list, key cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&list) {
		return nil, errors.New("a device list is cut short")
	}
	var devices []Device
	for !list.Empty() {
		var d Device
		if !list.ReadUint32(&d.KeyIndex) || !list.ReadUint16LengthPrefixed(&key) {
			return nil, errors.New("a device is cut short")
		}
		var err error
		if d.Key, err = ParseKey(key); err != nil {
			return nil, fmt.Errorf("device %d: %w", d.KeyIndex, err)
		}
		devices = append(devices, d)
	}
	return devices, nil
}

// DevicesHash commits to a device list under its primary key (section 3).
// devices are the companions only, in ascending KeyIndex; primary is zero after
// ERASE.
//
//	H("muster/v1 device list" 00 || log_id || account_id || u32 generation
//	  || u16 len || primary || u32 n || n times (u32 key_index || u16 len || key))
func DevicesHash(log name.LogID, account name.AccountID, generation uint32, primary Key, devices []Device) name.DevicesHash {
	b := append(make([]byte, 0, 512), "muster/v1 device list\x00"...) // nine devices fit without growing
	b = append(b, log[:]...)
	b = append(b, account[:]...)
	b = binary.BigEndian.AppendUint32(b, generation)
	b = primary.append(b)
	b = binary.BigEndian.AppendUint32(b, uint32(len(devices)))
	for i := range devices {
		b = binary.BigEndian.AppendUint32(b, devices[i].KeyIndex)
		b = devices[i].Key.append(b)
	}
	return sha256.Sum256(b)
}
