package log_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	hour = time.Hour
	day  = 24 * hour
	year = 365 * day
)

// leaping is a rig, not opened yet, whose clock can be set while other time passes.
type leaping struct {
	*rig
	elapsed atomic.Int64
	said    bytes.Buffer // to the operator; read it when the log has stopped
}

func leapingRig(t *testing.T, cosigned bool) *leaping {
	l := new(leaping)
	if l.rig = makeRig(t); cosigned {
		l.rig, _ = threeWitnesses(t)
	}
	l.cfg.Elapsed = func() time.Duration { return time.Duration(l.elapsed.Load()) }
	l.cfg.Logger = slog.New(slog.NewTextHandler(&l.said, nil))
	return l
}

func (l *leaping) set(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = l.now.Add(d)
}

// refuses submits an event that is not taken for the clock's sake, which is all
// that its sender is told; nothing is signed.
func (l *leaping) refuses(what string, body []byte) {
	l.t.Helper()
	head := bytes.Clone(l.head.note)
	if o := l.submit(body)[0]; o.Err == nil || !strings.HasPrefix(o.Err.Error(), "the log does not believe its clock: send") {
		l.t.Errorf("%s: %+v, want that the clock is not believed", what, o)
	}
	if !bytes.Equal(head, l.head.note) {
		l.t.Errorf("%s: something was signed", what)
	}
}

// told stops the log and finds words in what its operator was told.
func (l *leaping) told(words ...string) {
	l.t.Helper()
	if err := l.stop(); err != nil {
		l.t.Error(err)
	}
	for _, w := range words {
		if !strings.Contains(l.said.String(), w) {
			l.t.Errorf("the operator is not told %q:\n%s", w, &l.said)
		}
	}
	l.said.Reset()
}

// A clock that leaps while the log runs is not believed, with cosigners or
// without: they do not look at an EPOCH's time. Once it is mended the log goes on.
func TestClockLeaps(t *testing.T) {
	for _, cosigned := range []bool{false, true} {
		l := leapingRig(t, cosigned)
		l.open()
		p := l.phone("alice")
		l.accepted(p.Register())

		l.set(hour)
		l.accepted(p.Add()) // slept for an hour
		l.set(30 * day)
		l.elapsed.Add(int64(30 * day))
		l.accepted(p.Add()) // stood still, for so long as the clock says
		l.elapsed.Add(int64(year))
		l.accepted(p.Confirm()) // a clock that freezes

		for _, leap := range []time.Duration{hour + time.Millisecond, 10 * year} {
			l.set(leap)
			body := p.Confirm()
			l.refuses(leap.String(), body)
			l.refuses(leap.String()+" again", body)
			l.set(-leap)
			l.accepted(body)
		}
		// Nor is anything left of it in what is promised.
		l.cfg.Epoch = hour
		if by := l.promised(p.Confirm())[0].receipt.MergeBy; by > uint64(l.cfg.Now().Add(day).UnixMilli()) {
			t.Errorf("merge_by %s", time.UnixMilli(int64(by)))
		}
		l.told("this clock leapt from 2026-10-21T15:13:20Z to 2036-10-18T15:13:20Z while 0s passed", "set it, and the log goes on", "start the log again")
	}
}

// Leaps that are each small enough are not believed in a row: a clock that is made
// to creep ahead gains an hour a day.
func TestSmallLeaps(t *testing.T) {
	l := leapingRig(t, false)
	l.open()
	p := l.phone("alice")
	l.accepted(p.Register())
	for range 3 {
		l.set(40 * time.Minute)
		l.elapsed.Add(int64(time.Minute))
		l.accepted(p.Confirm())
		l.set(40 * time.Minute)
		body := p.Confirm()
		l.refuses("the second leap of a day", body)
		l.set(-40 * time.Minute)
		l.accepted(body)
		l.set(day)
		l.elapsed.Add(int64(day))
		l.accepted(p.Confirm())
	}
}

// A clock that was turned back is the log's fault, not the signers', whose clocks
// are right.
func TestClockBehind(t *testing.T) {
	l := leapingRig(t, false)
	l.open()
	p := l.phone("alice")
	l.accepted(p.Register())
	l.set(-2 * hour)
	body := p.Add()
	l.refuses("two hours behind", body)
	l.set(2 * hour)
	l.accepted(body)
	l.told("if the clock is behind, set it")
}

// A log starts weeks after its newest epoch, and later only if somebody vouches
// for the clock: its cosigners' quorum, or its operator.
func TestStartAfterPause(t *testing.T) {
	const most = 14 * day
	l := leapingRig(t, false)
	l.open()
	p := l.phone("alice")
	l.accepted(p.Register()) // its epoch is 1 ms ahead
	l.stop()
	l.set(time.Millisecond + most)
	l.open()
	l.accepted(p.Add())
	l.stop()

	l.set(most + time.Millisecond)
	l.open()
	body := p.Add()
	l.refuses("a start too late", body)
	l.set(-time.Millisecond)
	l.accepted(body) // mended, it goes on
	l.told("this clock says 2026-10-19T14:13:20Z, the newest epoch is of 2026-10-05T14:13:20Z", "set it, and the log goes on", "start it once with --clock-is-right")

	l.set(10 * year)
	head := bytes.Clone(l.head.note)
	if _, err := l.seal(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "start it once with --clock-is-right") || !bytes.Equal(head, l.head.note) {
		t.Errorf("sealed ten years ahead: %v", err)
	}
	l.cfg.ClockIsRight = true
	l.open()
	l.accepted(p.Add())
	l.set(10 * year) // what was vouched for is that clock, not each that comes
	body = p.Confirm()
	l.refuses("a leap after it", body)
	l.stop()
	l.set(-10 * year)
	l.cfg.ClockIsRight = false
	l.open()
	l.accepted(body)
	l.stop()

	l = leapingRig(t, true)
	l.open()
	p = l.phone("alice")
	l.accepted(p.Register())
	l.stop()
	l.set(year)
	l.open()
	l.accepted(p.Add())
	l.stop()
	l.set(year)
	if _, err := l.seal(t.Context(), ""); err != nil {
		t.Errorf("sealed a year later, by cosigners with the same clock: %v", err)
	}
}
