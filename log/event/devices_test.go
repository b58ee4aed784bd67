package event_test

import (
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/event"
)

// A list of devices is refused when it is cut short, also with the right length
// around it, and for any key that is none.
func TestReadDevicesRefuses(t *testing.T) {
	c := newChain(t, linked+"ADD_DEVICE xtv")
	encode := func(devices []event.Device) []byte {
		b := cryptobyte.NewBuilder(nil)
		event.AddDevices(b, devices)
		return b.BytesOrPanic()
	}
	read := func(b []byte) ([]event.Device, error) {
		s := cryptobyte.String(b)
		return event.ReadDevices(&s)
	}
	good := encode(c.at.Devices)
	if devices, err := read(good); err != nil || len(devices) != 2 || devices[1] != c.at.Devices[1] {
		t.Fatalf("%v, %v", devices, err)
	}
	for n := range good {
		if devices, err := read(good[:n]); err == nil {
			t.Errorf("%d of %d bytes: %d devices", n, len(good), len(devices))
		}
	}
	const device = 4 + 2 + event.KeySize
	for _, n := range []int{device + 4, 4, 5, device - 1, 2*device - 1} {
		b := cryptobyte.NewBuilder(nil)
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(good[2 : 2+n]) })
		if devices, err := read(b.BytesOrPanic()); err == nil {
			t.Fatalf("a list of %d bytes: %d devices", n, len(devices))
		}
	}
	bad := c.at.Clone().Devices
	bad[0].Key[0] = 9
	if devices, err := read(encode(bad)); err == nil {
		t.Errorf("a key of type 9: %v", devices)
	}
}
