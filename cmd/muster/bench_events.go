package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
)

// benchAccount is a throw-away account: it signs its registration and
// device-adds, and forgets its keys.
type benchAccount struct {
	last    event.Payload
	primary *event.PrivateKey
	devices []event.Device
}

// benchEvents are the signed events of throw-away accounts: of each account one
// registration, and so many device-adds, in rounds over all accounts.
func benchEvents(log name.LogID, accounts, adds int) (registers, devices [][]byte, err error) {
	var run [4]byte
	rand.Read(run[:]) // so that two runs have no account in common
	registers, devices = make([][]byte, accounts), make([][]byte, accounts*adds)
	errs := make([]error, runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	for worker := range errs {
		all.Go(func() {
			for i := worker; i < accounts && errs[worker] == nil; i += len(errs) {
				id := name.Identifier(fmt.Sprintf("muster-bench-%s-%d", hex.EncodeToString(run[:]), i))
				errs[worker] = func() error {
					a, body, err := newBenchAccount(log, id.AccountID())
					registers[i] = body
					for round := 0; round < adds && err == nil; round++ {
						devices[round*accounts+i], err = a.add()
					}
					return err
				}()
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, nil, err
		}
	}
	return registers, devices, nil
}

func newBenchAccount(log name.LogID, id name.AccountID) (a *benchAccount, register []byte, err error) {
	primary, err := event.GenerateKey(event.KeyEd25519)
	if err != nil {
		return nil, nil, err
	}
	a = &benchAccount{primary: primary}
	a.last = event.Payload{Type: event.Register, Log: log, Account: id, Primary: primary.Public()}
	register, err = a.sign(nil)
	return a, register, err
}

// add links a new device.
func (a *benchAccount) add() ([]byte, error) {
	k, err := event.GenerateKey(event.KeyEd25519)
	if err != nil {
		return nil, err
	}
	a.last.Prev, a.last.Seq = a.last.ID(), a.last.Seq+1
	a.last.Type, a.last.KeyIndex, a.last.Subject = event.AddDevice, a.last.Seq, k.Public()
	a.devices = append(a.devices, event.Device{KeyIndex: a.last.Seq, Key: k.Public()})
	return a.sign(k)
}

// sign makes the event of the account's last payload; subject may be nil.
func (a *benchAccount) sign(subject *event.PrivateKey) ([]byte, error) {
	p := &a.last
	p.TimeMs = uint64(time.Now().UnixMilli())
	p.DevicesHash = event.DevicesHash(p.Log, p.Account, p.Generation, p.Primary, a.devices)
	e := event.Event{Payload: *p}
	for role, k := range []*event.PrivateKey{event.Primary: a.primary, event.Subject: subject} {
		if k == nil {
			continue
		}
		sig, err := k.Sign(p.SignedBytes(event.Role(role)))
		if err != nil {
			return nil, err
		}
		e.Signatures = append(e.Signatures, event.Signature{Role: event.Role(role), Bytes: sig})
	}
	return e.Bytes(), nil
}
