package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/durable"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/witness/follow"
)

func proofCommand(g *globals) *cobra.Command {
	var out string
	var tlog bool
	var seq uint32
	c := &cobra.Command{
		Use:   "proof ID --out FILE",
		Short: "Write a file that proves an account's devices without a network",
		Long: `Writes what the log answers about an account now, verified, into one file.
Whoever has it and the trust policy can check it with muster verify-proof, with
no network. It proves the devices as of its time, and no later.

With --tlog it writes a C2SP tlog-proof (c2sp.org/tlog-proof) that one event of
the account is logged, the newest or --seq, for the tools of any transparency
log. That shows the leaf, not what it hides; "extra" has its bytes.`,
		Args: takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := identifiers(args)
			if err != nil {
				return err
			}
			if out == "" {
				return usage("no file to write: pass --out FILE")
			}
			if cmd.Flags().Changed("seq") && !tlog {
				return usage("--seq names the event of a --tlog proof: pass both, or none")
			}
			r, err := g.reader()
			if err != nil {
				return err
			}
			var data []byte
			if tlog {
				var newest *uint32
				if cmd.Flags().Changed("seq") {
					newest = &seq
				}
				data, err = tlogProof(cmd.Context(), r, ids[0], newest)
			} else {
				data, err = proofFile(cmd.Context(), r, ids[0])
			}
			if err != nil {
				return err
			}
			if err := durable.Replace(out, data); err != nil {
				return fmt.Errorf("writing the proof: %w", err)
			}
			g.say("proof of %s in %s, %d bytes", ids[0], out, len(data))
			return nil
		},
	}
	c.Flags().StringVar(&out, "out", "", "`FILE` to write")
	c.Flags().BoolVar(&tlog, "tlog", false, "a C2SP tlog-proof of one event")
	c.Flags().Uint32Var(&seq, "seq", 0, "the event of --tlog, by its seq; default: the newest")
	return c
}

// proofFile asks as one who holds nothing, so that the file convinces such a
// one; the client's own state is asked too, and remembers.
func proofFile(ctx context.Context, r *reader, id name.Identifier) ([]byte, error) {
	if _, err := r.Lookup(ctx, verifier.Question{Account: id.AccountID()}); err != nil {
		return nil, err
	}
	data, err := r.source.Lookup(ctx, answer.ProofRequest(id.AccountID()).Bytes())
	if err != nil {
		return nil, err
	}
	f := &answer.ProofFile{Identifier: id, Answer: data}
	if _, err := r.Verifier.ProofFile(f, time.Now()); err != nil {
		return nil, fmt.Errorf("the log's proof: %w", err)
	}
	return f.Bytes(), nil
}

// tlogProof reads the leaf and its path from the log's tiles, under the
// checkpoint of a verified history: what stands there is that event's leaf.
func tlogProof(ctx context.Context, r *reader, id name.Identifier, seq *uint32) ([]byte, error) {
	result, err := r.Lookup(ctx, verifier.Question{Account: id.AccountID(), History: true})
	if err != nil {
		return nil, err
	}
	events := result.Accounts[0].Events
	if len(events) == 0 {
		return nil, fmt.Errorf("no proof: %s is %s", id, headline(&result.Accounts[0]))
	}
	e := events[len(events)-1]
	if seq != nil {
		found := false
		for _, e = range events {
			if found = e.Seq == *seq; found {
				break
			}
		}
		if !found {
			return nil, fmt.Errorf("no event of seq %d: %s has %d to %d that are not erased", *seq, id, events[0].Seq, events[len(events)-1].Seq)
		}
	}
	tree, err := follow.Open(ctx, r.source, result.Checkpoint)
	if err != nil {
		return nil, err
	}
	p := &answer.TLogProof{Index: e.Position, Note: result.Note}
	if p.Leaf, err = tree.Leaf(ctx, e.Position); err != nil {
		return nil, err
	}
	if p.Path, err = tree.Path(ctx, e.Position); err != nil {
		return nil, err
	}
	return p.Bytes(), nil
}

func verifyProofCommand(g *globals) *cobra.Command {
	var maxAge time.Duration
	c := &cobra.Command{
		Use:   "verify-proof FILE",
		Short: "Check a proof file under --policy, without a network",
		Long: `Checks a file of muster proof with the trust policy alone. It says how old the
file is, and refuses it for its age only if --max-age is said. It neither reads
nor changes what this client remembers.`,
		Args: takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("max-age") && maxAge <= 0 {
				return usage("--max-age %v: want more than 0, or leave it out for any age", maxAge)
			}
			return g.verifyProof(args[0], maxAge)
		},
	}
	c.Flags().DurationVar(&maxAge, "max-age", 0, "refuse an older file, such as 24h; default: any age")
	return c
}

func (g *globals) verifyProof(path string, maxAge time.Duration) error {
	policy, err := g.loadPolicy()
	if err != nil {
		return err
	}
	data, err := readProof(path)
	if err != nil {
		return fmt.Errorf("reading the proof: %w", err)
	}
	f, err := answer.ParseProofFile(data)
	if err != nil {
		return &verifier.Failure{Check: verifier.CheckForm, Err: err}
	}
	v := &verifier.Verifier{Policy: policy, MaxAge: maxAge}
	if maxAge == 0 {
		v.MaxAge = -1
	}
	now := time.Now()
	result, err := v.ProofFile(f, now)
	if err != nil {
		return err
	}
	if g.json {
		return g.printJSON(foundJSON(f.Identifier, result, &result.Accounts[0]))
	}
	g.printDevices(f.Identifier, &result.Accounts[0])
	g.say("%s; it says nothing about what happened since", vouch(result, now))
	return nil
}

// readProof reads no more than a proof file can have.
func readProof(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, answer.MaxProofFile+1))
	if err == nil && len(data) > answer.MaxProofFile {
		err = errors.New("it is too large for a proof file")
	}
	return data, err
}
