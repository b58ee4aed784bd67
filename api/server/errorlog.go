package server

import (
	"bytes"
	"log"
	"log/slog"
	"sync"
	"time"
)

// errorLog has what net/http says by itself: of handshakes that fail, of clients
// that break the protocol. A stranger can make it say a line with each
// connection, and would fill a disk, so that few of them are written. They name
// addresses and no header and no body.
func errorLog(logger *slog.Logger) *log.Logger {
	return log.New(&fewLines{logger: logger}, "", 0)
}

// fewLines writes maxErrorLines of a kind in a minute. What strangers cause
// does not hide that a handler panicked.
type fewLines struct {
	logger *slog.Logger

	mu            sync.Mutex
	panics, other lines
}

// lines are those of a kind.
type lines struct {
	minute          time.Time // began then
	written, untold int       // in it; since the last one that was written
}

func (f *fewLines) Write(line []byte) (int, error) {
	text := bytes.TrimSpace(line[:min(len(line), maxErrorLine)])
	f.mu.Lock()
	kind := &f.other
	if bytes.Contains(text, []byte("panic serving")) {
		kind = &f.panics
	}
	told, untold := kind.next(time.Now())
	f.mu.Unlock()
	if told {
		f.logger.Info(string(text), "untold", untold)
	}
	return len(line), nil
}

// next says whether the next line is written, and how many before it were not.
func (l *lines) next(now time.Time) (told bool, untold int) {
	if now.Sub(l.minute) >= time.Minute {
		l.minute, l.written = now, 0
	}
	if l.written == maxErrorLines {
		l.untold++
		return false, 0
	}
	l.written++
	untold, l.untold = l.untold, 0
	return true, untold
}
