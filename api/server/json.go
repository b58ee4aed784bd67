package server

import (
	"bytes"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/musterlog/muster/api/v1"
)

// jsonCodec is Connect's own but for what it says of a body that it cannot read:
// protojson would quote it, and a token that was sent in the body by mistake
// would stand in the answer, which proxies and clients write into their logs.
type jsonCodec struct{ name string }

func (c jsonCodec) Name() string { return c.name }

func (jsonCodec) Marshal(message any) ([]byte, error) {
	return protojson.Marshal(message.(proto.Message))
}

func (jsonCodec) Unmarshal(data []byte, message any) error {
	m := message.(proto.Message)
	// An event in base64 has two quotes, names of fields a few more.
	if n := bytes.Count(data, []byte{'"'}) / 2; n > musterv1.MaxEvents+jsonNames && hasEvents(message) {
		return errEvents(n)
	}
	// Fields that this server does not know are passed over, as in protobuf.
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(data, m); err != nil {
		return fmt.Errorf("these %d bytes are not the JSON of a %s: see api/v1/muster.proto", len(data), m.ProtoReflect().Descriptor().FullName())
	}
	return nil
}
