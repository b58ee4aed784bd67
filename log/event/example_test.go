package event_test

import (
	"fmt"
	"log"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
)

// A phone begins an account and links a laptop; whoever reads the two events
// gets the device list.
func Example() {
	account := event.NewAccount(name.Origin("keys.example.org/log1").LogID(), name.Identifier("+15550000000").AccountID())
	phone, err := event.NewPrivateKey(event.KeyEd25519, [32]byte{1})
	if err != nil {
		log.Fatal(err)
	}
	laptop, err := event.NewPrivateKey(event.KeyCurve25519, [32]byte{2})
	if err != nil {
		log.Fatal(err)
	}

	register := event.Payload{
		Type: event.Register, Log: account.Log, Account: account.ID, TimeMs: 1_760_000_000_000,
		Primary:     phone.Public(),
		DevicesHash: event.DevicesHash(account.Log, account.ID, 0, phone.Public(), nil),
	}
	read(account, send(register, phone))

	after := []event.Device{{KeyIndex: 1, Key: laptop.Public()}}
	add := event.Payload{
		Type: event.AddDevice, Log: account.Log, Account: account.ID, TimeMs: 1_760_000_060_000,
		Seq: account.Next, Prev: account.Head, KeyIndex: account.Next,
		Primary: phone.Public(), Subject: laptop.Public(),
		DevicesHash: event.DevicesHash(account.Log, account.ID, 0, phone.Public(), after),
	}
	read(account, send(add, phone, laptop))

	// Output:
	// REGISTER: 255 bytes
	// ADD_DEVICE: 355 bytes
	// device 1
}

// send signs a payload, the keys in the order of their roles.
func send(p event.Payload, keys ...*event.PrivateKey) []byte {
	e := event.Event{Payload: p}
	for role, k := range keys {
		sig, err := k.Sign(p.SignedBytes(event.Role(role)))
		if err != nil {
			log.Fatal(err)
		}
		e.Signatures = append(e.Signatures, event.Signature{Role: event.Role(role), Bytes: sig})
	}
	return e.Bytes()
}

func read(account *event.Account, b []byte) {
	e, err := event.Parse(b)
	if err != nil {
		log.Fatal(err)
	}
	if err := account.Apply(event.Check(e)); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %d bytes\n", e.Type, len(b))
	for _, d := range account.Devices {
		fmt.Println("device", d.KeyIndex)
	}
}
