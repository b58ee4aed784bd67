package checkpoint

import (
	"errors"
	"fmt"
	"strings"
)

// ConflictType is the Content-Type of a cosigner's 409 (C2SP tlog-witness). No
// other spelling of it counts.
const ConflictType = "text/x.tlog.size"

// ErrInconsistent is a cosigner's 422: the checkpoint does not extend the one
// that it cosigned last, by the proof that came with it.
var ErrInconsistent = errors.New("the cosigner says that the checkpoint does not extend the one it has")

// Conflict is a cosigner's 409: the size of the checkpoint that it cosigned
// last. Nobody signed that number, so it is a hint and never a proof.
type Conflict struct{ Size uint64 }

func (c *Conflict) Error() string {
	return fmt.Sprintf("the cosigner says that it has a checkpoint of size %d", c.Size)
}

// ParseConflict reads the body of a 409: a decimal size below 2^63 and a line
// break, nothing else.
func ParseConflict(body []byte) (*Conflict, error) {
	text, ended := strings.CutSuffix(string(body), "\n")
	size, err := parseDecimal(text)
	if err == nil && !ended {
		err = errors.New("no line break at its end")
	}
	if err != nil {
		return nil, fmt.Errorf("reading a conflict's size: %w", err)
	}
	return &Conflict{Size: size}, nil
}
