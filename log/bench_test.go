package log_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

// BenchmarkAnswer is the size of answers in a log of some thousand accounts,
// and what a client pays to verify them, on one core.
func BenchmarkAnswer(b *testing.B) {
	const accounts = 20_000
	l := liar.New(origin, start)
	l.Cosigners = fourCosigners(b)
	phones := make([]*liar.Phone, accounts)
	for i := range phones {
		phones[i] = liar.NewPhone(origin, name.Identifier(fmt.Sprint("account", i)), start)
		l.Append(phones[i].Account(), phones[i].Register())
	}
	three := phones[:100]
	for _, p := range three {
		for range 3 {
			l.Append(p.Account(), p.Add())
		}
	}
	l.Seal()
	text := "log " + l.Signer.Key().String() + "\n"
	for i, c := range l.Cosigners {
		text += fmt.Sprintf("witness w%d %s\n", i, c.Key())
	}
	policy, err := checkpoint.ParsePolicy([]byte(text + "group q 3 w0 w1 w2 w3\nquorum q\n"))
	if err != nil {
		b.Fatal(err)
	}
	v := &verifier.Verifier{Policy: policy}
	now := time.UnixMilli(int64(l.TimeMs))
	known := stateAfter(b, l, v, phones[:1], now)
	for _, c := range []struct {
		name   string
		state  *verifier.State
		phones []*liar.Phone
	}{
		{"first,seq=0", known, phones[500:501]},
		{"first,seq=3", known, phones[1:2]},
		{"first,nothing-known", nil, phones[500:501]},
		{"unchanged", known, phones[0:1]},
		{"first,seq=0,batch=100", known, phones[1000:1100]},
	} {
		b.Run(c.name, func(b *testing.B) {
			questions := questionsAbout(c.phones)
			lookup, err := v.Lookup(c.state, questions...)
			if err != nil {
				b.Fatal(err)
			}
			data, err := l.Lookup(context.Background(), lookup.Request())
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				lookup, err := v.Lookup(c.state, questions...)
				if err != nil {
					b.Fatal(err)
				}
				lookup.Request()
				if err := lookup.Answer(data, now); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(data))/float64(len(c.phones)), "B/account")
			b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(b.N)/float64(len(c.phones)), "µs/account")
		})
	}
}

func questionsAbout(phones []*liar.Phone) []verifier.Question {
	var questions []verifier.Question
	for _, p := range phones {
		questions = append(questions, verifier.Question{Account: p.Account()})
	}
	return questions
}

func stateAfter(b *testing.B, l *liar.Log, v *verifier.Verifier, phones []*liar.Phone, now time.Time) *verifier.State {
	lookup, err := v.Lookup(nil, questionsAbout(phones)...)
	if err != nil {
		b.Fatal(err)
	}
	data, err := l.Lookup(context.Background(), lookup.Request())
	if err != nil {
		b.Fatal(err)
	}
	if err := lookup.Answer(data, now); err != nil {
		b.Fatal(err)
	}
	_, state, err := lookup.Result()
	if err != nil {
		b.Fatal(err)
	}
	return state
}

func fourCosigners(b *testing.B) []*checkpoint.Cosigner {
	var all []*checkpoint.Cosigner
	for i := range 4 {
		c, err := checkpoint.NewCosigner(checkpoint.Cosignature, fmt.Sprintf("witness%d.example", i), liar.Seed("witness", fmt.Sprint(i)))
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}
