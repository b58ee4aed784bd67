package event

import (
	"crypto/sha256"

	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/name"
)

// Device is a companion in an account's list.
type Device struct {
	KeyIndex uint32 // seq of the event that added it: names the device for ever
	Key      Key
}

// DevicesHash commits to a device list under its primary key (section 3).
// devices are the companions only, in ascending KeyIndex; primary is zero after
// ERASE.
//
//	H("muster/v1 device list" 00 || log_id || account_id || u32 generation
//	  || u16 len || primary || u32 n || n times (u32 key_index || u16 len || key))
func DevicesHash(log name.LogID, account name.AccountID, generation uint32, primary Key, devices []Device) name.DevicesHash {
	b := cryptobyte.NewBuilder(make([]byte, 0, 132+39*len(devices)))
	b.AddBytes([]byte("muster/v1 device list\x00"))
	b.AddBytes(log[:])
	b.AddBytes(account[:])
	b.AddUint32(generation)
	primary.append(b)
	b.AddUint32(uint32(len(devices)))
	for i := range devices {
		b.AddUint32(devices[i].KeyIndex)
		devices[i].Key.append(b)
	}
	return sha256.Sum256(b.BytesOrPanic())
}
