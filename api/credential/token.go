// Package credential is who may do what at a log: bearer tokens, their scopes,
// and the file in the log's folder that knows the tokens by their hashes.
package credential

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/musterlog/muster/log/durable"
)

// prefix makes a token known for one wherever it turns up, to a person and to
// programs that look for secrets in the wrong places.
const prefix = "muster_"

const redacted = "REDACTED"

// Token is the secret that a caller shows. Whatever prints or encodes it gets
// the word REDACTED. The zero Token is none.
type Token struct {
	// In a closure, because fmt prints the unexported fields of whatever struct
	// holds a Token without asking its methods.
	text func() string
}

// Hash is what a log keeps of a token: SHA-256 of its text. Nobody guesses 32
// random bytes, so that neither salt nor a slow hash would add anything; and to
// find a token by its hash tells nothing by its time.
type Hash [sha256.Size]byte

// NewToken draws a token.
func NewToken() Token {
	var secret [32]byte
	rand.Read(secret[:]) // ends the process rather than fail
	return token(prefix + hex.EncodeToString(secret[:]))
}

func token(text string) Token { return Token{func() string { return text }} }

// ParseToken takes a token's text. The error does not show it.
func ParseToken(text string) (Token, error) {
	digits, ok := strings.CutPrefix(text, prefix)
	if secret, err := hex.DecodeString(digits); !ok || err != nil || len(secret) != 32 || digits != strings.ToLower(digits) {
		return Token{}, fmt.Errorf("no token: want %s and 64 hex digits, as `muster token add` printed it", prefix)
	}
	return token(text), nil
}

// ReadToken reads a token's file: one line, that nobody but its owner may read.
func ReadToken(path string) (Token, error) {
	data, err := durable.ReadSecret(path)
	if err != nil {
		return Token{}, fmt.Errorf("reading a token: %w", err)
	}
	t, err := ParseToken(strings.TrimSuffix(string(data), "\n"))
	if err != nil {
		return Token{}, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// IsZero says whether it is none.
func (t Token) IsZero() bool { return t.text == nil }

// Reveal is the secret itself, for a request's header and to show it once.
func (t Token) Reveal() string {
	if t.text == nil {
		return ""
	}
	return t.text()
}

// Hash is what the log knows it by.
func (t Token) Hash() Hash { return sha256.Sum256([]byte(t.Reveal())) }

func (Token) String() string               { return redacted }
func (Token) GoString() string             { return redacted }
func (Token) Format(f fmt.State, _ rune)   { fmt.Fprint(f, redacted) }
func (Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (Token) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
