package checkpoint

import (
	"crypto"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"

	"filippo.io/mldsa"
	"golang.org/x/crypto/cryptobyte"
)

// Cosigner holds the private key of a witness or an auditor: one of the two,
// since a key states one thing only (protocol section 7). An Ed25519
// cosignature does not bind its cosigner's name, so the key serves nothing
// else, either.
type Cosigner struct {
	redacted
	key     Key
	ed25519 func() ed25519.PrivateKey // of a Cosignature key
	mldsa   func() *mldsa.PrivateKey  // of an MLDSA44 key
}

// NewCosigner makes a Cosigner with this name from a seed, for a key of type
// Cosignature (Ed25519) or MLDSA44.
func NewCosigner(typ KeyType, name string, seed [32]byte) (*Cosigner, error) {
	c := new(Cosigner)
	var public []byte
	switch typ {
	case Cosignature:
		private := ed25519.NewKeyFromSeed(seed[:])
		c.ed25519, public = func() ed25519.PrivateKey { return private }, private.Public().(ed25519.PublicKey)
	case MLDSA44:
		private, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed[:])
		if err != nil {
			return nil, fmt.Errorf("making cosigner key: %w", err)
		}
		c.mldsa, public = func() *mldsa.PrivateKey { return private }, private.PublicKey().Bytes()
	default:
		return nil, fmt.Errorf("making cosigner key: type %#02x: want 0x04 (Ed25519) or 0x06 (ML-DSA-44)", uint8(typ))
	}
	var err error
	if c.key, err = newKey(name, typ, public); err != nil {
		return nil, fmt.Errorf("making cosigner key: %w", err)
	}
	return c, nil
}

// Key is the public key.
func (c *Cosigner) Key() Key { return c.key }

// Cosign states that at this time (POSIX seconds, below 2^63) a checkpoint's
// text was the largest consistent one that the cosigner had seen. It gives the
// line to send, and keeps no record: the caller stores what it has cosigned
// before this is called. Equal arguments give equal bytes.
//
//	signature = u64 time || Ed25519("cosignature/v1\ntime " time "\n" text)   (C2SP tlog-cosignature)
//	signature = u64 time || ML-DSA-44(cosigned_message)
//
// A text that Cosignable refuses makes it panic: whoever gets here without
// having asked does not know what it is signing.
func (c *Cosigner) Cosign(text string, time uint64) Line {
	if err := c.Cosignable(text); err != nil {
		panic("checkpoint: " + err.Error())
	}
	l := Line{Name: c.key.Name, ID: c.key.ID, Signature: binary.BigEndian.AppendUint64(nil, time)}
	if c.ed25519 != nil {
		l.Signature = append(l.Signature, ed25519.Sign(c.ed25519(), cosigned(text, time))...)
		return l
	}
	message, err := subtree(c.key.Name, text, time)
	if err == nil {
		var sig []byte
		sig, err = c.mldsa().SignDeterministic(message, crypto.Hash(0))
		l.Signature = append(l.Signature, sig...)
	}
	if err != nil {
		panic("checkpoint: " + err.Error())
	}
	return l
}

// Cosignable says why a text cannot be cosigned by this key, if it cannot: it
// is no checkpoint (see ParseForeign), or what ML-DSA-44 would sign of it
// leaves something out: extension lines, an origin of over 255 bytes.
func (c *Cosigner) Cosignable(text string) error {
	f, err := parseForeign(text)
	switch {
	case err != nil:
		return err
	case c.key.Type == MLDSA44 && f.Extended:
		return errors.New("an ML-DSA-44 cosignature does not cover extension lines")
	case c.key.Type == MLDSA44 && len(f.Origin) > 255:
		return fmt.Errorf("an ML-DSA-44 cosignature has no room for an origin of %d bytes", len(f.Origin))
	}
	return nil
}

// cosigned is the message of an Ed25519 cosignature. It covers the whole text
// of the note, so a cosigner answers for every line it passes on.
func cosigned(text string, time uint64) []byte {
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", time, text)
}

// subtree is the message of an ML-DSA-44 cosignature of a checkpoint (C2SP
// tlog-cosignature, cosigned_message): start is 0 and end the size.
//
//	"subtree/v1\n\0" || name<1..2^8-1> || u64 time || origin<1..2^8-1> || u64 start || u64 end || root[32]
func subtree(name, text string, time uint64) ([]byte, error) {
	f, err := parseForeign(text)
	if err != nil {
		return nil, err
	}
	if f.Extended {
		return nil, errors.New("an ML-DSA-44 cosignature does not cover extension lines")
	}
	var b cryptobyte.Builder
	b.AddBytes([]byte("subtree/v1\n\x00"))
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
	b.AddUint64(time)
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(f.Origin)) })
	b.AddUint64(0)
	b.AddUint64(f.Size)
	b.AddBytes(f.Root[:])
	return b.Bytes()
}
