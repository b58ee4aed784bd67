package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/verifier"
)

const (
	mostLookups = 20_000 // accounts that are looked up: their rows are more than the store's cache holds
	lookupBatch = 100
)

// lookups are a client's, of a log in this process or over its API.
type lookups struct {
	*verifier.Verifier
	source verifier.Source
}

// state is what the client knows once it has looked some accounts up.
func (c *lookups) state(ctx context.Context, questions []verifier.Question) (*verifier.State, error) {
	l, err := c.Lookup(nil, questions...)
	if err != nil {
		return nil, err
	}
	data, err := c.source.Lookup(ctx, l.Request())
	if err != nil {
		return nil, err
	}
	if err := l.Answer(data, time.Now()); err != nil {
		return nil, err
	}
	_, state, err := l.Result()
	return state, err
}

// asked is one lookup with its answer.
type asked struct {
	state     *verifier.State
	questions []verifier.Question
	answer    []byte
}

// keptAnswers are those whose size and verification are measured. A server forgets each
// when it is sent: to hold all of a round would leave no room for garbage to the log.
const keptAnswers = 200

// ask prepares lookups of n accounts each, and serves them: what that costs is
// the log's side alone.
func (c *lookups) ask(ctx context.Context, state *verifier.State, questions []verifier.Question, n int) ([]asked, cost, error) {
	all := make([]asked, len(questions)/n)
	requests := make([][]byte, len(all))
	for i := range all {
		all[i] = asked{state: state, questions: questions[i*n : (i+1)*n]}
		l, err := c.Lookup(state, all[i].questions...)
		if err != nil {
			return nil, cost{}, err
		}
		requests[i] = l.Request()
	}
	var failed atomic.Pointer[error]
	spent, err := metered(len(all)*n, func() error {
		parallel(len(all), func(i int) {
			data, err := c.source.Lookup(ctx, requests[i])
			if err != nil {
				failed.Store(&err)
			}
			if i < keptAnswers {
				all[i].answer = data
			}
		})
		return nil
	})
	if e := failed.Load(); e != nil {
		err = *e
	}
	return all[:min(keptAnswers, len(all))], spent, err
}

// verify is what a client spends on some answers, on one core, in milliseconds
// each. Every one is verified to its end.
func (c *lookups) verify(all []asked) (float64, error) {
	spent, err := metered(len(all), func() error {
		for _, a := range all {
			l, err := c.Lookup(a.state, a.questions...)
			if err != nil {
				return err
			}
			l.Request()
			if err := l.Answer(a.answer, time.Now()); err != nil {
				return err
			}
			if l.Request() != nil {
				return errors.New("an answer with a second page")
			}
			if _, _, err := l.Result(); err != nil {
				return err
			}
		}
		return nil
	})
	return spent.cpu.Seconds() * 1e3 / float64(len(all)), err
}

// lookup is first lookups from the log in this process, and their verification.
func (b *bench) lookup() error {
	if err := b.ready(log.MaxEpochEvents); err != nil {
		return err
	}
	c := &lookups{&verifier.Verifier{Policy: b.cfg.Policy}, b.open.log}
	seq1, seq3 := b.town.ending(1, mostLookups), b.town.ending(3, keptAnswers)
	known, err := c.state(b.ctx, seq1[:1])
	if err != nil {
		return err
	}
	// Each proof is made when it is first asked for, and kept.
	if _, _, err := c.ask(b.ctx, known, seq1, lookupBatch); err != nil {
		return err
	}
	alone, batched := samples{}, samples{}
	var one, hundred []asked
	for range rounds {
		var spent cost
		if one, spent, err = c.ask(b.ctx, known, seq1, 1); err != nil {
			return err
		}
		alone["cpu_us"] = append(alone["cpu_us"], spent.cpuMicros())
		if hundred, spent, err = c.ask(b.ctx, known, seq1, lookupBatch); err != nil {
			return err
		}
		batched["cpu_us"] = append(batched["cpu_us"], spent.cpuMicros())
	}
	b.figure("lookup-alone", 1e6/median(alone["cpu_us"]), alone)
	b.figure("lookup-batch", 1e6/median(batched["cpu_us"]), batched)

	three, _, err := c.ask(b.ctx, known, seq3, 1)
	if err != nil {
		return err
	}
	b.answerSizes("size-seq1", one, 1)
	b.answerSizes("size-seq3", three, 1)
	b.answerSizes("size-batch", hundred, lookupBatch)
	if err := b.verified(c, "verify-seq1", one[1:]); err != nil {
		return err
	}
	if err := b.verified(c, "verify-seq3", three); err != nil {
		return err
	}
	return b.returning(c, seq1[:lookupBatch])
}

func (b *bench) answerSizes(row string, all []asked, accounts int) {
	var sizes []float64
	for _, a := range all {
		sizes = append(sizes, float64(len(a.answer))/float64(accounts))
	}
	b.figure(row, median(sizes), samples{"bytes": sizes})
}

func (b *bench) verified(c *lookups, row string, all []asked) error {
	var spent []float64
	for range rounds {
		ms, err := c.verify(all)
		if err != nil {
			return err
		}
		spent = append(spent, ms)
	}
	b.figure(row, median(spent), samples{"cpu_ms": spent})
	return nil
}

// returning is a client that knows a hundred accounts and asks again after
// other events were logged.
func (b *bench) returning(c *lookups, questions []verifier.Question) error {
	state, err := c.state(b.ctx, questions)
	if err != nil {
		return err
	}
	batches, done, err := b.town.deviceAdds(100)
	if err != nil {
		return err
	}
	if err := errors.Join(b.open.submit(b.ctx, batches), done()); err != nil {
		return err
	}
	all, _, err := c.ask(b.ctx, state, questions, len(questions))
	if err != nil {
		return err
	}
	b.answerSizes("size-returning", all, len(questions))
	return b.verified(c, "verify-batch", all)
}

// ending is questions about at most n accounts whose newest event has this seq,
// from all over the log: a multiple of a batch if there are so many.
func (t *town) ending(seq, n int) (questions []verifier.Question) {
	kind := 0
	for history(kind) != seq+1 {
		kind++
	}
	there := 0
	for hour(kind+there*len(histories), seq) < t.Accounts {
		there++
	}
	n = min(n, there)
	if n > lookupBatch {
		n -= n % lookupBatch
	}
	r := rand.New(rand.NewPCG(uint64(seq), 1))
	for _, i := range r.Perm(there)[:n] {
		id := identifier(kind + i*len(histories))
		questions = append(questions, verifier.Question{Account: id.AccountID()})
	}
	return questions
}
