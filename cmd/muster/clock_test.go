package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/store/pebble"
)

// The real program, whose clock nobody can set here, on logs that were made at
// another time: to one its clock is a month ahead, to the other a month behind.
func TestServeDoesNotBelieveItsClock(t *testing.T) {
	for _, c := range []struct {
		what, says  string
		made        time.Time
		vouchedGoes bool // with --clock-is-right it goes on
	}{
		{"down for a month", "no cosigner vouches for either", time.Now().AddDate(0, -1, 0), true},
		{"a month ahead", "epochs' times never go back", time.Now().AddDate(0, 1, 0), false},
	} {
		t.Run(c.what, func(t *testing.T) {
			dir := madeAt(t, c.made)
			head, err := os.ReadFile(filepath.Join(dir, "signed-head"))
			if err != nil {
				t.Fatal(err)
			}
			unsigned := func() {
				t.Helper()
				if now, err := os.ReadFile(filepath.Join(dir, "signed-head")); err != nil || string(now) != string(head) {
					t.Errorf("something was signed: %v\n%s", err, now)
				}
			}
			p := mustServe(t, dir, "--heartbeat", "10ms")
			until(t, "it says why no epoch is made", func(context.Context) bool {
				return strings.Contains(p.stderr(), c.says) && strings.Contains(p.stderr(), c.made.UTC().Format(time.RFC3339))
			})
			if err := p.stop(); err != nil {
				t.Error(err)
			}
			if s := muster(t, "seal", "--dir", dir); s.code != exitFailed || !strings.Contains(s.err, c.says) {
				t.Errorf("seal: %+v", s)
			}
			unsigned()
			if !c.vouchedGoes {
				if s := muster(t, "seal", "--dir", dir, "--clock-is-right"); s.code != exitFailed {
					t.Errorf("seal --clock-is-right: %+v", s)
				}
				unsigned()
				return
			}
			p = mustServe(t, dir, "--heartbeat", "10ms", "--clock-is-right")
			until(t, "an epoch is made", func(context.Context) bool {
				now, err := os.ReadFile(filepath.Join(dir, "signed-head"))
				return err == nil && string(now) != string(head)
			})
			if err := p.stop(); err != nil {
				t.Error(err)
			}
			mustMuster(t, "seal", "--dir", dir)
		})
	}
}

// madeAt is a log as muster init would have made it then.
func madeAt(t *testing.T, then time.Time) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "log")
	mustMuster(t, "init", "--dir", dir, "--origin", "example.org/log1")
	d := logDir(dir)
	cfg, s, err := d.open(nil)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(s.Close(), os.RemoveAll(d.path("store")), os.Remove(d.path("signed-head")))
	if err != nil {
		t.Fatal(err)
	}
	made, err := pebble.Create(d.storeConfig())
	if err != nil {
		t.Fatal(err)
	}
	cfg.Store, cfg.Now = made, func() time.Time { return then }
	if err := errors.Join(log.Create(cfg), made.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}
