package auditor

import (
	"context"
	"errors"
	"fmt"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/witness"
)

// Judge is Check in the words of a witness.Config: with it a witness is an
// auditor, and cosigns nothing whose leaves were not all replayed.
func (a *Auditor) Judge(ctx context.Context, c checkpoint.Foreign, note []byte) error {
	err := a.Check(ctx, note)
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(*Broken)):
		return fmt.Errorf("%w: %w", witness.ErrStopped, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: the auditor has not replayed the log up to size %d yet", witness.ErrBehind, c.Size)
	default:
		return err
	}
}
