package server

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/musterlog/muster/api/v1"
)

// protoCodec is Connect's own but for events that are too many: 2 MiB of empty
// ones would be 50 MB before anybody could count them.
type protoCodec struct{}

func (protoCodec) Name() string { return "proto" }

func (protoCodec) Marshal(message any) ([]byte, error) { return proto.Marshal(message.(proto.Message)) }

func (protoCodec) MarshalAppend(to []byte, message any) ([]byte, error) {
	return proto.MarshalOptions{}.MarshalAppend(to, message.(proto.Message))
}

func (protoCodec) Unmarshal(data []byte, message any) error {
	if n := protoEvents(data); n > musterv1.MaxEvents && hasEvents(message) {
		return errEvents(n)
	}
	return proto.Unmarshal(data, message.(proto.Message))
}

// hasEvents is of the messages whose field 1 is repeated bytes.
func hasEvents(message any) bool {
	switch message.(type) {
	case *musterv1.SubmitRequest, *musterv1.SubmitStreamRequest:
		return true
	}
	return false
}

// protoEvents counts the fields 1 of a message, up to where it is broken: so
// far it would be unpacked.
func protoEvents(data []byte) (events int) {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeField(data)
		if n < 0 {
			break
		}
		if number == 1 && kind == protowire.BytesType {
			events++
		}
		data = data[n:]
	}
	return events
}

func errEvents(n int) error {
	return fmt.Errorf("%d events: want 1 to %d in one message", n, musterv1.MaxEvents)
}
