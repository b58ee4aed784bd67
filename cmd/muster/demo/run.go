// Package demo shows a newcomer in under a minute what muster is for: a normal
// day of an honest log, its witnesses, its auditor, a monitor and a few
// people; and then every lie that an operator with all keys can tell, by whom
// each is noticed, and with what proof. Everything runs in this process and is
// real, but for the lying log, which is package log/liar.
package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/durable"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/liar"
)

// Config says where a run keeps what it makes, and who is told as it happens.
type Config struct {
	Out    string                    // folder of the evidence files; made if there is none
	Part   func(title, about string) // may be nil, as the others
	Step   func(Step)
	Attack func(int, Attack) // counted from 1
}

// Run runs all of it. The error says that the demo itself could not go on;
// whether everything was caught, the report says.
func Run(ctx context.Context, cfg Config) (_ *Report, err error) {
	start := time.Now()
	if err := durable.MakeFolder(cfg.Out); err != nil {
		return nil, fmt.Errorf("making the folder for evidence: %w: choose another --out", err)
	}
	if there, err := os.ReadDir(cfg.Out); err != nil || len(there) > 0 {
		return nil, errors.Join(err, fmt.Errorf("%s is not empty: choose another --out, so that what lies there is of one run", cfg.Out))
	}
	dir, err := os.MkdirTemp("", "muster-demo-work-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	r := &Report{Evidence: cfg.Out, Caught: true}
	if err := cfg.day(ctx, filepath.Join(dir, "day"), r); err != nil {
		return nil, fmt.Errorf("a normal day: %w", err)
	}
	if err := cfg.lies(ctx, dir, r); err != nil {
		return nil, err
	}
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

func (cfg *Config) day(ctx context.Context, dir string, r *Report) error {
	cfg.part("A NORMAL DAY", "A log records every device of every account. Three witnesses cosign that it only grows, and an auditor that its map follows from it. "+
		"Alice's monitor watches her account for her. Each app verifies all that it is told.")
	return normalDay(ctx, dir, func(s Step) {
		r.Day = append(r.Day, s)
		if cfg.Step != nil {
			cfg.Step(s)
		}
	})
}

func (cfg *Config) part(title, about string) {
	if cfg.Part != nil {
		cfg.Part(title, about)
	}
}

// lies has each lie told by a log of its own, and judged.
func (cfg *Config) lies(ctx context.Context, dir string, r *Report) (err error) {
	cfg.part("ATTACKS", "Now the operator lies, with all keys of the log in hand: it hashes, signs and proves whatever it likes. "+
		"Clients here ask for two of three witnesses and for no auditor, so that every lie gets as far as it can.")
	liars := make([]*liar.Log, len(attacks))
	var keys []checkpoint.Key
	for i := range attacks {
		liars[i] = liar.New(attacks[i].origin(), uint64(time.Now().UnixMilli()))
		keys = append(keys, liars[i].Signer.Key())
	}
	witnesses, stop, err := newWitnesses(filepath.Join(dir, "witnesses"), keys)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	for i := range attacks {
		a := &attacks[i]
		out := filepath.Join(cfg.Out, fmt.Sprintf("%02d-%s", i+1, a.slug()))
		shown, err := a.run(ctx, liars[i], filepath.Join(dir, a.slug()), out, witnesses)
		if err != nil {
			return fmt.Errorf("attack %q: %w", a.name, err)
		}
		r.Attacks, r.Caught = append(r.Attacks, *shown), r.Caught && shown.Caught
		if cfg.Attack != nil {
			cfg.Attack(i+1, *shown)
		}
	}
	return nil
}

// run tells one lie, and has its evidence judged once the log is gone.
func (a *attack) run(ctx context.Context, l *liar.Log, dir, out string, witnesses []*watcher) (*Attack, error) {
	s, err := a.stage(l, dir, out, witnesses)
	if err != nil {
		return nil, err
	}
	err = a.tell(ctx, s)
	if err := errors.Join(err, s.close()); err != nil {
		return nil, err
	}
	shown := &Attack{Name: a.name, Lie: a.lie, Noticed: s.notices, NoFile: a.noFile}
	for i := range shown.Noticed {
		n := &shown.Noticed[i]
		if n.Evidence != "" {
			if n.Verdict, err = judge(n.Evidence, s.policy.Log); err != nil {
				return nil, err
			}
		}
		convicted := n.Verdict != nil && n.Kind == string(a.kind)
		shown.Caught = shown.Caught || n.By == a.by && (convicted || a.kind == "")
	}
	if _, err := os.Stat(out); err == nil {
		return shown, os.WriteFile(filepath.Join(out, "log.vkey"), []byte(s.policy.Log.String()+"\n"), 0o600)
	}
	return shown, nil
}

func readEvidence(path string) (*evidence.File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return evidence.Parse(data)
}

// judge is the offline verifier: a file and the log's key are all it has.
func judge(path string, log checkpoint.Key) (*Verdict, error) {
	f, err := readEvidence(path)
	if err != nil {
		return nil, err
	}
	v, err := f.Verify(log)
	if err != nil {
		return nil, err
	}
	return &Verdict{Party: v.Party.String(), Statement: v.Statement, How: v.How, NotShown: v.NotShown}, nil
}

// close ends the log, and everybody who watches it.
func (s *scene) close() (err error) {
	s.stop()
	if s.auditor != nil {
		err = s.auditor.Close()
	}
	if s.monitor != nil {
		err = errors.Join(err, s.monitor.Close())
	}
	return err
}
