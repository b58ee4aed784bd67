package demo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/musterlog/muster/api/server"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/durable"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/witness/auditor"
	"github.com/musterlog/muster/witness/follow"
)

// scene is a lying log, and the place where it lies.
type scene struct {
	place
	log       *lying
	witnesses []*watcher
	seen      map[*watcher]uint64 // sizes that the witnesses have cosigned
	out       string              // for evidence
	stop      func()

	auditor *auditor.Auditor // nil until it is asked
	monitor *watch           // nil until it is asked

	told    time.Time // of the lie; zero before it
	notices []Notice
}

// origins names the log of each attack: a key that signed two histories of one
// log, though only for a show, would convict itself.
func (a *attack) origin() name.Origin {
	return name.Origin("evil.example/" + a.slug())
}

func (a *attack) slug() string { return strings.ReplaceAll(a.name, " ", "-") }

// stage serves a lying log, which has done nothing wrong yet.
func (a *attack) stage(l *liar.Log, dir, out string, witnesses []*watcher) (*scene, error) {
	s := &scene{log: &lying{log: l}, witnesses: witnesses, seen: make(map[*watcher]uint64), out: out}
	s.dir = dir
	handler, err := server.New(server.Config{Backend: s.log})
	if err != nil {
		return nil, err
	}
	if s.url, s.stop, err = listen(handler); err != nil {
		return nil, err
	}
	s.policy, err = policyOf(l.Signer.Key(), witnesses, nil)
	if err == nil && a.colludes {
		err = s.collude()
	}
	return s, errors.Join(err, durable.MakeFolder(dir))
}

// lies does what the operator does, signs it, and marks the moment.
func (s *scene) lies(how func(l *liar.Log)) {
	s.log.do(func(l *liar.Log) {
		how(l)
		l.Seal()
	})
	s.told = time.Now()
}

// publish asks all witnesses for their cosignature, as an honest log does. The
// error says who refused, and why.
func (s *scene) publish(ctx context.Context) error {
	var refused error
	for _, w := range s.witnesses {
		lines, err := s.ask(ctx, w)
		if err != nil {
			refused = errors.Join(refused, fmt.Errorf("%s: %w", w.name, err))
			continue
		}
		s.log.do(func(l *liar.Log) {
			l.Note = checkpoint.Append(l.Note, lines...)
			s.seen[w] = uint64(len(l.Leaves))
		})
	}
	return refused
}

func (s *scene) ask(ctx context.Context, w *watcher) ([]checkpoint.Line, error) {
	var proof []leaf.Hash
	var note []byte
	var err error
	s.log.do(func(l *liar.Log) {
		note = l.Note
		if old := s.seen[w]; old > 0 {
			proof, err = answer.Consistency(old, uint64(len(l.Leaves)), l.Node)
		}
	})
	if err != nil {
		return nil, err
	}
	return w.cosigner.AddCheckpoint(ctx, s.seen[w], proof, note)
}

// notice records who noticed what since the lie, in their own words. What it
// proves is kept in a file at once.
func (s *scene) notice(ctx context.Context, by Party, who, said string, found error) error {
	f, err := s.proof(ctx, found)
	n := Notice{By: by, Who: who, After: float64(time.Since(s.told)) / float64(time.Millisecond), Said: s.named(said)}
	if err != nil {
		return err
	}
	if f != nil {
		n.Kind, n.Evidence = string(f.Kind), filepath.Join(s.out, f.Name())
		if err := durable.MakeFolder(s.out); err != nil {
			return err
		}
		if err := durable.Keep(n.Evidence, f.Bytes()); err != nil {
			return err
		}
	}
	s.notices = append(s.notices, n)
	return nil
}

// named has people by their names, where parties know account_ids.
func (s *scene) named(text string) string {
	for id := range s.people {
		text = strings.ReplaceAll(text, "account "+id.AccountID().String(), called(id))
	}
	return text
}

// proof is the evidence in what somebody found, or what the log's own files
// show of it, if there is some.
func (s *scene) proof(ctx context.Context, found error) (*evidence.File, error) {
	var m *evidence.Misbehaviour
	if errors.As(found, &m) {
		return m.File, nil
	}
	var f *verifier.Failure
	if !errors.As(found, &f) {
		return nil, nil
	}
	who, err := s.person("files")
	if err != nil {
		return nil, err
	}
	file, err := follow.Investigate(ctx, who.log, s.policy.Log, f)
	if err == nil && errors.As(evidence.Convict(s.policy.Log, file), &m) {
		return m.File, nil
	}
	return nil, nil // most failures convict nobody
}

// ghost is an ADD_DEVICE of the operator's, which holds no key of the owner's.
func ghost(p *liar.Phone) []byte {
	key := liar.NewPhone("ghost.example/log", "ghost", 0).NewKey()
	e := p.Draft(event.AddDevice)
	e.KeyIndex, e.Subject = e.Seq, key.Public()
	e.DevicesHash = event.DevicesHash(e.Log, e.Account, e.Generation, e.Primary, append(p.At.Clone().Devices, event.Device{KeyIndex: e.Seq, Key: e.Subject}))
	return liar.Sign(e, key, key).Bytes()
}

// usurp is a REREGISTER with a primary key of the operator's.
func usurp(p *liar.Phone) []byte {
	key := liar.NewPhone("ghost.example/log", "usurper", 0).NewKey()
	e := p.Draft(event.Reregister)
	e.Generation++
	e.KeyIndex, e.Primary = e.Seq, key.Public()
	e.DevicesHash = event.DevicesHash(e.Log, e.Account, e.Generation, e.Primary, nil)
	return liar.Sign(e, key, nil).Bytes()
}
