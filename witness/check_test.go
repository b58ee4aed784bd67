package witness_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/witness"
)

// TestCheck: Check sees what meets all rules of a witness and nothing else,
// and what it refuses is neither recorded nor cosigned.
func TestCheck(t *testing.T) {
	l := newLog("example.org/any").grow(9, "main")
	other := newLog("example.org/other").grow(9, "main")
	r := newRig(t, l, other)
	var seen []string
	answer := error(nil)
	r.cfg.Check = func(_ context.Context, c checkpoint.Foreign, _ []byte) error {
		seen = append(seen, fmt.Sprintf("%s %d", c.Origin, c.Size))
		return answer
	}
	r.restart()
	r.want(http.StatusBadRequest, "")
	r.want(http.StatusConflict, l.body(5, 9))
	r.want(http.StatusForbidden, request(0, "", other.sign(l.text(3))))
	r.want(http.StatusUnprocessableEntity, request(0, zeroHash+"\n", l.note(3)))
	if len(seen) > 0 {
		t.Fatalf("Check saw %v, which breaks a rule", seen)
	}

	answer = fmt.Errorf("at leaf 2: %w", witness.ErrBehind)
	if a := r.want(http.StatusServiceUnavailable, l.body(0, 5)); a.RetryAfter <= 0 {
		t.Error("no Retry-After where the log should ask again")
	}
	answer = errors.New("the log cannot be reached")
	if a := r.want(http.StatusServiceUnavailable, l.body(0, 5)); a.RetryAfter <= 0 {
		t.Error("no Retry-After where the log should ask again")
	}
	if !strings.Contains(r.said.String(), "the log cannot be reached") {
		t.Error("the operator is not told")
	}
	if r.Newest(l.origin) != nil {
		t.Error("what Check refused is shown")
	}
	answer = nil
	r.times(r.want(http.StatusOK, l.body(0, 5)), l.text(5), both...)

	answer = fmt.Errorf("leaf 7: %w", witness.ErrStopped)
	if a := r.want(http.StatusServiceUnavailable, l.body(5, 9)); a.RetryAfter != 0 || !strings.Contains(string(a.Body), "leaf 7") {
		t.Errorf("after a broken rule: Retry-After %v, %q", a.RetryAfter, a.Body)
	}
	// For good: also what was fine before, and without asking again.
	answer, seen = nil, nil
	r.want(http.StatusServiceUnavailable, l.body(5, 9))
	r.want(http.StatusServiceUnavailable, l.body(5, 5))
	r.want(http.StatusConflict, l.body(0, 5))
	if len(seen) > 0 {
		t.Errorf("Check is asked again: %v", seen)
	}
	// What was cosigned stays to be seen; other logs go on.
	note, err := checkpoint.Parse(r.Newest(l.origin))
	if err != nil || note.Size != 5 {
		t.Errorf("shown: %v, %v; want size 5", note, err)
	}
	r.want(http.StatusOK, other.body(0, 9))
}

// TestImpatient: a request that waits for another's turn gives up when its
// time is over, and one that comes after the witness was closed, too.
func TestImpatient(t *testing.T) {
	l := newLog("example.org/any").grow(9, "main")
	r := newRig(t, l)
	entered, release := make(chan struct{}), make(chan struct{})
	r.cfg.Check = func(context.Context, checkpoint.Foreign, []byte) error {
		close(entered)
		<-release
		return nil
	}
	r.restart()
	done := make(chan int)
	go func() { done <- r.add(l.body(0, 5)).Status }()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a := r.AddCheckpoint(ctx, []byte(l.body(0, 9))); a.Status != http.StatusServiceUnavailable || a.RetryAfter <= 0 {
		t.Errorf("%d, Retry-After %v", a.Status, a.RetryAfter)
	}
	close(release)
	if got := <-done; got != http.StatusOK {
		t.Errorf("the first request: %d", got)
	}
	w := r.Witness
	r.Close()
	if a := w.AddCheckpoint(ctx, []byte(l.body(5, 9))); a.Status != http.StatusServiceUnavailable {
		t.Errorf("after Close: %d", a.Status)
	}
}
