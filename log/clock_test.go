package log_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
)

// What depends on time, in time that passes only when nothing is left to do.

// An event waits for its epoch's end from the moment when the first of the
// epoch came: neither from the cut before, nor from when that was sealed.
func TestEpochBeginsWithItsFirstEvent(t *testing.T) {
	const epoch, sealing = 10 * time.Second, 4 * time.Second
	for _, c := range []struct {
		what           string
		pause          time.Duration // from the first epoch's cut to the event
		wants          time.Duration // until it is published
		sealing, after time.Duration // of the first epoch; of an event that joins later
	}{
		{what: "the first after a pause", pause: 7 * time.Second, wants: epoch},
		{what: "while the epoch before is sealed", pause: time.Second, sealing: sealing, wants: epoch},
		{what: "with another that comes later", pause: 7 * time.Second, after: 6 * time.Second, wants: epoch},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.stop()
				r.cfg.Epoch = epoch
				r.open()
				stall := c.sealing
				r.store.stall = func() { time.Sleep(stall); stall = 0 }
				submit := func(name string) <-chan time.Duration {
					done, body, began := make(chan time.Duration, 1), r.phone(name).Register(), time.Now()
					go func() {
						if o := r.submit(body)[0]; o.Err != nil || o.Refused != nil {
							t.Errorf("%s: %+v", name, o)
						}
						done <- time.Since(began)
					}()
					synctest.Wait()
					return done
				}
				first := submit("first")
				time.Sleep(epoch + c.pause)
				event := submit("event")
				time.Sleep(c.after)
				later := submit("later")
				if took := <-first; took != epoch+c.sealing {
					t.Errorf("the first event took %v, want %v", took, epoch+c.sealing)
				}
				if took := <-event; took != c.wants {
					t.Errorf("the event took %v, want %v", took, c.wants)
				}
				if took := <-later; took != c.wants-c.after {
					t.Errorf("one that came %v later took %v, want %v", c.after, took, c.wants-c.after)
				}
			})
		})
	}
}

// An epoch that fails is tried again after another epoch's time, also if what was
// promised is more than fills one.
func TestFailedEpochIsNotHurried(t *testing.T) {
	const epoch = 10 * time.Second
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.stop()
		r.cfg.Epoch, r.cfg.MaxEpochEvents = epoch, 2
		r.open()
		tries := 0
		r.store.stall = func() {
			if tries++; tries < 100 {
				r.store.fail = errors.New("no space left on device")
			}
		}
		p := r.phone("alice")
		all := r.promised(p.Register(), p.Add(), p.Add())
		time.Sleep(3*epoch + epoch/2)
		synctest.Wait()
		if tries > 4 {
			t.Errorf("tried %d times in %v, want once in %v", tries, 3*epoch, epoch)
		}
		tries = 100
		r.kept(all...)
	})
}

// clocked is a cosigner in this process. It answers once open is closed, and
// states a time that differs from the log's.
type clocked struct {
	*checkpoint.Cosigner
	now   func() time.Time
	ahead time.Duration
	open  chan struct{}
}

func (c *clocked) AddCheckpoint(ctx context.Context, _ uint64, _ []leaf.Hash, raw []byte) ([]checkpoint.Line, error) {
	select {
	case <-c.open:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	note, err := checkpoint.Parse(raw)
	if err != nil {
		return nil, err
	}
	return []checkpoint.Line{c.Cosign(note.Text, uint64(c.now().Add(c.ahead).Unix()))}, nil
}

func (*clocked) Checkpoint(context.Context, name.Origin) ([]byte, error) {
	return nil, errors.New("it keeps nothing")
}

// clockedRig is a log that waits to be opened, under a policy of one cosigner.
func clockedRig(t *testing.T) (*rig, *clocked) {
	const url = "https://witness.example.org"
	r := makeRig(t)
	c := &clocked{Cosigner: cosigner(t, checkpoint.Cosignature, "w"), now: r.cfg.Now, open: make(chan struct{})}
	policy, err := checkpoint.ParsePolicy([]byte("log " + r.cfg.Signer.Key().String() + "\nwitness w " + c.Key().String() + " " + url + "\nquorum w\n"))
	if err != nil {
		t.Fatal(err)
	}
	r.cfg.Policy, r.cfg.Cosigners = policy, map[string]log.Cosigner{url: c}
	return r, c
}

// Before a quorum has confirmed where the log stands it may be a restored
// backup: it takes events, and promises none.
func TestNoPromiseBeforeConfirmation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := clockedRig(t)
		r.open()
		p := r.phone("alice")
		submit := func(body []byte) <-chan answer.Outcome {
			done := make(chan answer.Outcome, 1)
			go func() {
				done <- r.log.Submit(context.Background(), [][]byte{body}, answer.Want{Wait: answer.WaitDurable})[0]
			}()
			synctest.Wait()
			return done
		}
		early := submit(p.Register())
		select {
		case o := <-early:
			t.Fatalf("answered before any cosigner was heard: %+v", o)
		default:
		}
		close(c.open)
		if o := <-early; o.Err != nil || o.Refused != nil || o.Promised || o.Position == 0 {
			t.Errorf("the event that came before: %+v, want one that is published and not promised", o)
		}
		if o := <-submit(p.Add()); o.Err != nil || o.Refused != nil || !o.Promised {
			t.Errorf("the next one: %+v, want a promise", o)
		}
	})
}

// A cosignature states a time within 300 seconds before the log's clock and 60
// after it. By any other the log does not even start: clients would refuse it.
func TestCosignatureTime(t *testing.T) {
	for _, c := range []struct {
		ahead time.Duration
		taken bool
	}{
		{0, true}, {60 * time.Second, true}, {61 * time.Second, false}, {299 * time.Second, false},
		{-300 * time.Second, true}, {-301 * time.Second, false},
	} {
		t.Run(c.ahead.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, w := clockedRig(t)
				w.ahead = c.ahead
				close(w.open)
				r.open()
				time.Sleep(time.Minute) // it is asked again and again
				synctest.Wait()
				if taken := r.log.Published() != nil; taken != c.taken {
					t.Errorf("published: %t, want %t", taken, c.taken)
				}
			})
		})
	}
}

// A cosigner that was away is asked again all the time, also while there is nothing
// newer to cosign: it is back within a second, not at the next round but one.
func TestCosignerIsAskedAgain(t *testing.T) {
	for _, away := range []time.Duration{3 * time.Second, 7 * time.Second, 12 * time.Second, 18 * time.Second} {
		t.Run(away.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, c := clockedRig(t)
				r.open()
				time.Sleep(away)
				close(c.open)
				time.Sleep(time.Second)
				synctest.Wait()
				if r.log.Published() == nil {
					t.Error("nothing is published a second after it is back")
				}
			})
		})
	}
}
