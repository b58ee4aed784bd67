package durable

import "errors"

// ErrLocked is a folder that is taken.
var ErrLocked = errors.New("the lock is held: the folder is open in another process; stop that first")
