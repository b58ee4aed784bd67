package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/musterlog/muster/api/server"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

// splitView shows two contacts two logs of one size. A witness helps the
// operator: with three honest ones, two of three could not be had for both.
func splitView(ctx context.Context, s *scene) error {
	a, err := s.begin(ctx, alice, (*liar.Phone).Register, (*liar.Phone).Add)
	if err != nil {
		return err
	}
	b, err := s.begin(ctx, bob, (*liar.Phone).Register)
	if err != nil {
		return err
	}
	c, err := s.begin(ctx, carol, (*liar.Phone).Register)
	if err != nil {
		return err
	}
	other, err := s.fork()
	if err != nil {
		return err
	}
	defer other.stop()
	// One log has alice's removal of her laptop, the other two empty epochs.
	s.lies(func(l *liar.Log) { l.Append(a.phone.Account(), removeFirst(a.phone)) })
	other.lies(func(l *liar.Log) { l.Seal() })
	w1, w2 := s.witnesses[0], s.witnesses[1]
	s.witnesses, other.witnesses = []*watcher{w1}, []*watcher{w2}
	if err := errors.Join(s.publish(ctx), other.publish(ctx)); err != nil {
		return err
	}
	// The operator would rather have that witness for both, and asks it as if
	// it had seen the second log before.
	other.seen[w1] = s.seen[w1]
	if _, err := other.ask(ctx, w1); errors.Is(err, checkpoint.ErrInconsistent) {
		if err := s.witnessed(ctx, w1); err != nil {
			return err
		}
	}
	return s.gossip(ctx, b, c, other)
}

// fork is a second server of the log, which may say something else from here on.
func (s *scene) fork() (*scene, error) {
	var l *liar.Log
	s.log.do(func(first *liar.Log) {
		l = first.Fork()
		l.ForgetProofs() // which two forks would share
	})
	f := &scene{log: &lying{log: l}, seen: make(map[*watcher]uint64)}
	for w, size := range s.seen {
		f.seen[w] = size
	}
	handler, err := server.New(server.Config{Backend: f.log, Logger: quiet})
	if err != nil {
		return nil, err
	}
	f.url, f.stop, err = listen(handler)
	return f, err
}

// witnessed is what a witness refused, and the file that it wrote beside.
func (s *scene) witnessed(ctx context.Context, w *watcher) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		path, err := evidenceOf(filepath.Join(w.dir, "evidence"), name.Origin(s.policy.Log.Name))
		if err != nil {
			return err
		}
		if path != "" {
			found, err := s.misbehaviour(path)
			if err != nil {
				return err
			}
			return s.notice(ctx, Witness, "the honest witness "+w.name, "refuses to cosign the second log of that size", found)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("witness %s refused and wrote no evidence: %w", w.name, ctx.Err())
		case <-time.After(time.Millisecond): // it writes beside the answer
		}
	}
}

// evidenceOf finds a file against one log; empty if there is none yet.
func evidenceOf(dir string, origin name.Origin) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.evidence"))
	if err != nil {
		return "", err
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		if f, err := evidence.Parse(data); err == nil && f.Origin == origin {
			return path, nil
		}
	}
	return "", nil
}

// gossip has two people look, each at another view, and one write to the other:
// the message carries what its sender has seen.
func (s *scene) gossip(ctx context.Context, sender, receiver *person, other *scene) error {
	if err := receiver.moves(other.url); err != nil {
		return err
	}
	for _, who := range []*person{sender, receiver} {
		for _, whom := range []*person{sender, receiver, s.people[alice]} {
			if _, err := who.look(ctx, whom); err != nil {
				return fmt.Errorf("%s's app does not believe its view: %w", who.id, err)
			}
		}
	}
	sent, err := sender.state()
	if err != nil {
		return err
	}
	tag, err := sent.Tag(sender.phone.Account())
	if err != nil {
		return err
	}
	held, err := receiver.state()
	if err != nil {
		return err
	}
	// The tag differs; so the app asks for the sender's checkpoint, and then has
	// two that the log signed.
	var facts verifier.Facts
	heard, err := receiver.app.Verifier.Compare(held, sender.phone.Account(), tag, facts)
	if err == nil && heard.Ask == verifier.WantNote {
		facts.Note = sent.Note
		heard, err = receiver.app.Verifier.Compare(held, sender.phone.Account(), tag, facts)
	}
	if err != nil || heard.Failure == nil {
		return err
	}
	return s.notice(ctx, Client, fmt.Sprintf("%s's app, by a message from %s", called(receiver.id), called(sender.id)), heard.Failure.Error(), heard.Failure)
}

// collude replaces the third witness by one that signs whatever the operator
// wants.
func (s *scene) collude() error {
	key, err := checkpoint.NewCosigner(checkpoint.Cosignature, "w3.example.net", seed())
	if err != nil {
		return err
	}
	third := &watcher{name: "w3", key: key.Key(), url: "http://127.0.0.1:1"}
	if s.policy, err = policyOf(s.policy.Log, append(s.witnesses[:2:2], third), nil); err != nil {
		return err
	}
	s.witnesses = s.witnesses[:2]
	s.log.do(func(l *liar.Log) {
		l.Cosigners = append(l.Cosigners, key)
		l.Sign()
	})
	return nil
}

// rollBack serves a log as it was, to somebody who has seen more.
func rollBack(ctx context.Context, s *scene) error {
	a, err := s.begin(ctx, alice, (*liar.Phone).Register, (*liar.Phone).Add)
	if err != nil {
		return err
	}
	var old *liar.Log
	s.log.do(func(l *liar.Log) { old = l.Fork() })
	if _, err := s.begin(ctx, alice, removeFirst); err != nil {
		return err
	}
	if err := s.knows(ctx, bob, a); err != nil {
		return err
	}
	s.log.becomes(old, func(r *answer.Request) {
		r.Size = 0
		forgets(old)(r)
	})
	s.told = time.Now()
	return s.contact(ctx, bob, a)
}

// forgets takes a question as if the client had seen no more of an account than
// the liar now admits to have.
func forgets(l *liar.Log) func(*answer.Request) {
	return func(r *answer.Request) {
		for i := range r.Asks {
			r.Asks[i].Seq = min(r.Asks[i].Seq, uint32(len(l.Records[r.Asks[i].Account])-1))
		}
	}
}
