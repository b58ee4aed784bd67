package log_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/commitment"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store/pebble"
	"github.com/musterlog/muster/log/vrf"
	"github.com/musterlog/muster/verifier"
)

// cpu is the processor time of this process, all threads, user and system.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const benchAccounts = 4000

// deviceAdds is one registration and one device-add for each account: the
// first prepares, the second is what is measured.
func deviceAdds(round int) (registers, adds [][]byte) {
	for i := range benchAccounts {
		p := liar.NewPhone(origin, name.Identifier(fmt.Sprintf("bench-%d-%d", round, i)), start)
		registers = append(registers, p.Register())
		adds = append(adds, p.Add())
	}
	return registers, adds
}

// BenchmarkIngest is end-to-end durable device-adds through log.Submit, on
// the real disk, against what their cryptography alone costs: two single
// signature verifications, one VRF evaluation and one commitment. The two
// alternate within one run; quote the ratio, since machines differ.
func BenchmarkIngest(b *testing.B) {
	cfg := log.Config{
		Origin: origin, VRF: vrf.NewPrivateKey(liar.Seed("vrf")), Head: log.HeadFile(b.TempDir() + "/head"),
		Epoch: 50 * time.Millisecond, Heartbeat: time.Hour, Now: func() time.Time { return time.UnixMilli(int64(start)) },
	}
	var err error
	if cfg.Signer, err = checkpoint.NewSigner(string(origin), liar.Seed("log")); err != nil {
		b.Fatal(err)
	}
	s, err := pebble.Create(pebble.Config{Dir: b.TempDir() + "/store"})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	cfg.Store = s
	if err := log.Create(cfg); err != nil {
		b.Fatal(err)
	}
	l, err := log.Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()

	var whole, floor []float64
	for round := 0; b.Loop(); round++ {
		b.StopTimer()
		registers, adds := deviceAdds(round)
		submit(b, l, registers)
		runtime.GC()
		b.StartTimer()
		before := cpu()
		submit(b, l, adds)
		whole = append(whole, us(cpu()-before))
		b.StopTimer()
		runtime.GC()
		before = cpu()
		cryptography(b, cfg.VRF, adds)
		floor = append(floor, us(cpu()-before))
		b.StartTimer()
	}
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	w, f := median(whole), median(floor)
	b.ReportMetric(1e6/w, "durable-events/cpu-s")
	b.ReportMetric(w, "cpu-µs/event")
	b.ReportMetric(f, "floor-cpu-µs/event")
	b.ReportMetric(f/w, "floor/whole")
	b.ReportMetric(0, "ns/op")
}

func us(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / benchAccounts }

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func submit(b *testing.B, l *log.Log, bodies [][]byte) {
	for _, o := range l.Submit(context.Background(), bodies, answer.Want{}) {
		if o.Refused != nil || o.Err != nil {
			b.Fatal(o.Refused, o.Err)
		}
	}
}

// cryptography is the floor, on all cores.
func cryptography(b *testing.B, key *vrf.PrivateKey, bodies [][]byte) {
	events := make([]*event.Event, len(bodies))
	for i := range bodies {
		var err error
		if events[i], err = event.Parse(bodies[i]); err != nil {
			b.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for part := range slices.Chunk(events, len(events)/runtime.GOMAXPROCS(0)+1) {
		wg.Go(func() {
			for _, e := range part {
				if !event.VerifySignature(e.Primary, e.SignedBytes(event.Primary), e.Signatures[0].Bytes) ||
					!event.VerifySignature(e.Subject, e.SignedBytes(event.Subject), e.Signatures[1].Bytes) {
					b.Error("a signature does not verify")
				}
				key.Evaluate(e.Account.Label().VRFInput(e.Seq))
				commitment.Commit(name.Opening{}, e.Account.Label(), e.Seq, e.Bytes())
			}
		})
	}
	wg.Wait()
}

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
