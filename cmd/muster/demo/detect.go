package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/verifier/statefile"
	"github.com/musterlog/muster/witness/auditor"
	"github.com/musterlog/muster/witness/monitor"
)

// knows has a contact look before the lie.
func (s *scene) knows(ctx context.Context, id name.Identifier, whom *person) error {
	who, err := s.person(id)
	if err != nil {
		return err
	}
	_, err = who.look(ctx, whom)
	return err
}

// contact has somebody's app look after the lie. A new security code is
// something to notice, too.
func (s *scene) contact(ctx context.Context, id name.Identifier, whom *person) error {
	who, err := s.person(id)
	if err != nil {
		return err
	}
	by, app := Client, fmt.Sprintf("%s's app", called(id))
	if who == whom {
		by, app = Owner, fmt.Sprintf("the app on %s's own phone", called(id))
	}
	r, err := who.look(ctx, whom)
	if f := new(verifier.Failure); errors.As(err, &f) {
		return s.notice(ctx, by, app, err.Error(), err)
	}
	if err != nil {
		return err
	}
	if f := r.Accounts[0]; f.Status == verifier.Reregistered && (f.Endorsed == nil || !*f.Endorsed) {
		return s.notice(ctx, by, app, fmt.Sprintf("the security code with %s changed, and the old key did not sign that: compare it again", called(whom.id)), nil)
	}
	return nil
}

// audits has the auditor replay what is published.
func (s *scene) audits(ctx context.Context) error {
	if s.auditor == nil {
		who, err := s.person("auditor")
		if err != nil {
			return err
		}
		s.auditor, err = auditor.Open(auditor.Config{Dir: filepath.Join(s.dir, "auditor"), Log: s.policy.Log, Source: who.log, Logger: quiet})
		if err != nil {
			return err
		}
	}
	_, err := s.auditor.Catch(ctx)
	broken := new(auditor.Broken)
	if !errors.As(err, &broken) {
		return err
	}
	var found error
	if broken.Evidence != "" {
		if found, err = s.misbehaviour(broken.Evidence); err != nil {
			return err
		}
	}
	return s.notice(ctx, Auditor, "the auditor", broken.Rule+"; it cosigns nothing more", found)
}

// misbehaviour is what a file that a party wrote shows.
func (s *scene) misbehaviour(path string) (error, error) {
	f, err := readEvidence(path)
	if err != nil {
		return nil, err
	}
	return evidence.Convict(s.policy.Log, f), nil
}

// watch is a monitor and what it has printed.
type watch struct {
	*monitor.Monitor
	out bytes.Buffer
}

// monitors has the owner's monitor look: before the lie everything is as she
// did it, after it all is an alarm.
func (s *scene) monitors(ctx context.Context, whom *person) error {
	if s.monitor == nil {
		if err := s.openMonitor(whom); err != nil {
			return err
		}
	}
	s.monitor.out.Reset()
	if _, err := s.monitor.Pass(ctx); err != nil {
		return err
	}
	if s.told.IsZero() {
		return nil
	}
	for lines := bufio.NewScanner(&s.monitor.out); lines.Scan(); {
		var a monitor.Alert
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			return err
		}
		if !a.Alarm {
			continue
		}
		var found error
		if a.Evidence != "" {
			var err error
			if found, err = s.misbehaviour(a.Evidence); err != nil {
				return err
			}
		}
		if err := s.notice(ctx, Monitor, fmt.Sprintf("%s's monitor", called(whom.id)), alarm(&a), found); err != nil {
			return err
		}
	}
	return nil
}

// alarm is an alert in words.
func alarm(a *monitor.Alert) string {
	switch {
	case a.Kind == monitor.Reregistered && a.Endorsed != nil && !*a.Endorsed:
		return fmt.Sprintf("ALARM %s: seq %d, generation %d, not endorsed by the key before", a.Kind, *a.Seq, *a.Generation)
	case a.Message != "":
		return fmt.Sprintf("ALARM %s: %s", a.Kind, a.Message)
	case a.Seq != nil:
		return fmt.Sprintf("ALARM %s: seq %d", a.Kind, *a.Seq)
	}
	return fmt.Sprintf("ALARM %s", a.Kind)
}

func (s *scene) openMonitor(whom *person) error {
	who, err := s.person("monitor")
	if err != nil {
		return err
	}
	states, err := statefile.Open(filepath.Join(s.dir, "monitor-state"))
	if err != nil {
		return err
	}
	w := new(watch)
	w.Monitor, err = monitor.New(monitor.Config{
		Verifier: who.app.Verifier, Store: states, Source: who.log, Accounts: []name.Identifier{whom.id},
		Dir: filepath.Join(s.dir, "monitor"), Out: &w.out, Now: time.Now,
		Files: who.log, Scan: true, Logger: quiet,
	})
	s.monitor = w
	return err
}
