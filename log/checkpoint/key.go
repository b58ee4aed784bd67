package checkpoint

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"filippo.io/edwards25519"
	"filippo.io/mldsa"
)

// KeyType says what a key signs and how (C2SP signed-note, "signature types").
type KeyType uint8

const (
	Ed25519     KeyType = 0x01 // signs a note's text: a log's key
	Cosignature KeyType = 0x04 // Ed25519, signs a time and a note's text: a witness's or an auditor's key
	MLDSA44     KeyType = 0x06 // signs a time and a checkpoint with ML-DSA-44: a cosigner's key, or a log's second one
)

// publicSize is the length of a public key in bytes; 0 for an unknown type.
func (t KeyType) publicSize() int {
	switch t {
	case Ed25519, Cosignature:
		return ed25519.PublicKeySize
	case MLDSA44:
		return mldsa.MLDSA44PublicKeySize
	}
	return 0
}

// signatureSize is the length of a signature in bytes, without a time.
func (t KeyType) signatureSize() int {
	if t == MLDSA44 {
		return mldsa.MLDSA44SignatureSize
	}
	return ed25519.SignatureSize
}

// Key is the public key of a log or a cosigner, with its name.
type Key struct {
	Name   string
	ID     uint32 // a short hint; never more than that, since 32 bits can be met by trial
	Type   KeyType
	Public []byte
}

// newKey is
//
//	id = H(name || 0A || type || public)[:4]                                 (C2SP signed-note)
func newKey(name string, typ KeyType, public []byte) (Key, error) {
	if err := checkName(name); err != nil {
		return Key{}, err
	}
	if len(name) > maxKeyName {
		return Key{}, fmt.Errorf("key name of %d bytes: want at most %d", len(name), maxKeyName)
	}
	size := typ.publicSize()
	if size == 0 {
		return Key{}, fmt.Errorf("key type %#02x: want 0x01 (Ed25519), 0x04 (cosignature/v1) or 0x06 (ML-DSA-44)", uint8(typ))
	}
	if len(public) != size {
		return Key{}, fmt.Errorf("key of type %#02x with %d bytes: want %d", uint8(typ), len(public), size)
	}
	if typ == Ed25519 || typ == Cosignature {
		if err := checkPoint(public); err != nil {
			return Key{}, err
		}
	}
	h := sha256.New()
	h.Write([]byte(name + "\n"))
	h.Write([]byte{byte(typ)})
	h.Write(public)
	return Key{Name: name, ID: binary.BigEndian.Uint32(h.Sum(nil)), Type: typ, Public: public}, nil
}

// checkPoint refuses keys under which a stranger can sign (those of small
// order: nobody holds their private half, and signatures for them can be made
// up) and second spellings of one key, which would count twice in a policy.
// Torsion beside a large-order point is let be: crypto/ed25519 verifies without
// cofactor, so such a key is of use to its owner only.
func checkPoint(public []byte) error {
	p, err := new(edwards25519.Point).SetBytes(public)
	if err != nil || !bytes.Equal(p.Bytes(), public) {
		return errors.New("key is not a point of edwards25519 in its one encoding")
	}
	if new(edwards25519.Point).MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return errors.New("key is a point of small order: anyone could sign for it")
	}
	return nil
}

// ParseKey reads a vkey: name, key id and key, with "+" between. The id must
// be the key's own, and the type one of the KeyType constants.
func ParseKey(vkey string) (Key, error) {
	k, err := parseKey(vkey)
	if err != nil {
		return Key{}, fmt.Errorf("reading vkey: %w", err)
	}
	return k, nil
}

func parseKey(vkey string) (Key, error) {
	if len(vkey) > maxKeyText {
		return Key{}, fmt.Errorf("%d bytes: want at most %d", len(vkey), maxKeyText)
	}
	// Two cuts and no more: base64 has plus signs of its own.
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return Key{}, fmt.Errorf("%.80q: want name+id+key", vkey)
	}
	b, err := parseBase64(parts[2])
	if err != nil {
		return Key{}, err
	}
	if len(b) == 0 {
		return Key{}, errors.New("the key is empty")
	}
	k, err := newKey(parts[0], KeyType(b[0]), b[1:])
	if err != nil {
		return Key{}, err
	}
	if id := fmt.Sprintf("%08x", k.ID); parts[1] != id {
		return Key{}, fmt.Errorf("key id %.16q: this name and key have %s", parts[1], id)
	}
	return k, nil
}

// String is the vkey.
//
//	name "+" id in 8 hexadecimal digits "+" base64(type || public)
func (k Key) String() string {
	b := append([]byte{byte(k.Type)}, k.Public...)
	return fmt.Sprintf("%s+%08x+%s", k.Name, k.ID, base64.StdEncoding.EncodeToString(b))
}

// Made says whether a line claims to be by this key: Verify says whether it is.
func (k Key) Made(l Line) bool { return l.Name == k.Name && l.ID == k.ID }

var errInvalid = errors.New("the signature is invalid")

// Verify says whether a line of a note with this text is by this key, and the
// time (POSIX seconds) that a cosignature states; 0 for Ed25519, which states none.
func (k Key) Verify(text string, l Line) (time uint64, err error) {
	if !k.Made(l) {
		return 0, fmt.Errorf("signature line by %s %08x: want %s %08x", l.Name, l.ID, k.Name, k.ID)
	}
	if len(k.Public) != k.Type.publicSize() {
		return 0, errors.New("the key was not read by ParseKey")
	}
	switch k.Type {
	case Ed25519:
		if !ed25519.Verify(k.Public, []byte(text), l.Signature) {
			return 0, errInvalid
		}
		return 0, nil
	case Cosignature, MLDSA44:
		if len(l.Signature) != 8+k.Type.signatureSize() {
			return 0, fmt.Errorf("cosignature of %d bytes: want %d", len(l.Signature), 8+k.Type.signatureSize())
		}
		time = binary.BigEndian.Uint64(l.Signature)
		if time > maxTime {
			return 0, fmt.Errorf("cosignature of time %d: want below 2^63", time)
		}
		return time, k.verifyCosignature(text, time, l.Signature[8:])
	}
	return 0, fmt.Errorf("key type %#02x is unknown", uint8(k.Type))
}

func (k Key) verifyCosignature(text string, time uint64, signature []byte) error {
	if k.Type == Cosignature {
		if !ed25519.Verify(k.Public, cosigned(text, time), signature) {
			return errInvalid
		}
		return nil
	}
	message, err := subtree(k.Name, text, time)
	if err != nil {
		return err
	}
	public, err := mldsa.NewPublicKey(mldsa.MLDSA44(), k.Public)
	if err != nil || mldsa.Verify(public, message, signature, nil) != nil {
		return errInvalid
	}
	return nil
}
