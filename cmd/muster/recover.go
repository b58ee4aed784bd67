package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/witness/follow"
)

type recoverFlags struct {
	dir, from   string
	token       string
	events      []string
	unconfirmed bool
	cosigned    bool
}

func recoverCommand(g *globals) *cobra.Command {
	f := new(recoverFlags)
	c := &cobra.Command{
		Use:   "recover --dir DIR --from URL [--events FILE ...]",
		Short: "Bring a restored store up to what was signed",
		Long: `recover rebuilds the epochs that the store in DIR lacks, from the tiles and
entries that the log published and somebody kept: URL, a mirror or an old server.
It proves that they lead to the newest checkpoint that the log signed, makes that
the signed head, and only then writes. It signs nothing.

Entries say nothing about accounts, so FILE must have the events themselves: lines
of JSON as submit takes them, with any others among them, and with "receipt" where
the log's answer was kept. Without its receipt an event cannot be shown any more,
as if it had been erased; its account goes on, and a first lookup works again after
the next event that the primary signs (muster confirm).

Which checkpoint was the newest, the signed head in DIR says, or the cosigners of
--policy. If there is neither, --unconfirmed goes on all the same: if the log has
signed more than URL shows, that makes a fork that everybody can prove.`,
		Args: takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.dir == "" || f.from == "" {
				return usage("recover needs --dir DIR, the log's folder, and --from URL, which has what it published")
			}
			f.cosigned = cmd.Flags().Changed("policy")
			// In the environment it is for the log, and URL may be somebody else's.
			if cmd.Flags().Changed("token") {
				f.token = g.token
			}
			return g.recover(cmd.Context(), f)
		},
	}
	c.Flags().StringVar(&f.dir, "dir", "", "`DIR` of the log")
	c.Flags().StringVar(&f.from, "from", "", "base `URL` of the published log")
	c.Flags().StringArrayVar(&f.events, "events", nil, "`FILE` of the events since; may be given several times")
	c.Flags().BoolVar(&f.unconfirmed, "unconfirmed", false, "believe URL alone that nothing newer was signed")
	return c
}

func (g *globals) recover(ctx context.Context, f *recoverFlags) (err error) {
	content, err := readContent(f.events)
	if err != nil {
		return err
	}
	cfg, s, err := logDir(f.dir).open(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if f.cosigned {
		if err := g.addCosigners(&cfg); err != nil {
			return err
		}
	}
	source, err := newClient(f.from, f.token)
	if err != nil {
		return err
	}
	notes, err := g.newestNotes(ctx, f, cfg, source)
	if err != nil {
		return err
	}
	newest := slices.MaxFunc(notes, func(a, b *checkpoint.Note) int { return cmp.Compare(a.Size, b.Size) })
	t, err := follow.Open(ctx, source, newest.Checkpoint)
	if err != nil {
		return fmt.Errorf("the newest checkpoint is of size %d; %s must have all that lies under it: %w", newest.Size, f.from, err)
	}
	for _, n := range notes {
		if root, err := t.RootAt(ctx, n.Size); err != nil {
			return err
		} else if root != n.Root {
			return damaged{fmt.Errorf("the log signed two histories: at size %d it has root %s and root %s. Nothing is rebuilt; keep both checkpoints, they convict its key", n.Size, n.Root, root)}
		}
	}
	done, err := log.Recover(ctx, cfg, newest.Bytes(), t, content)
	if m := (*log.Missing)(nil); errors.As(err, &m) {
		return fmt.Errorf("%w: collect them with --events, from the messaging server or from their owners' devices; positions %v", err, m.Positions[:min(20, len(m.Positions))])
	}
	if err != nil {
		return err
	}
	g.print("%s: %d leaves, before %d; rebuilt %d epochs with %d events, %d of them without their openings\n", cfg.Origin, done.To, done.From, done.Epochs, done.Events, done.Closed)
	g.say("the store is at its signed head: `muster serve` goes on from there")
	return nil
}

// newestNotes gives what the log is known to have signed, the mirror's first.
func (g *globals) newestNotes(ctx context.Context, f *recoverFlags, cfg log.Config, source *client.Client) ([]*checkpoint.Note, error) {
	raw, err := source.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	n, err := checkpoint.Open(cfg.Signer.Key(), raw)
	if err != nil {
		return nil, fmt.Errorf("the checkpoint of %s: %w", f.from, err)
	}
	notes := []*checkpoint.Note{n}
	head, err := cfg.Head.Load()
	if err != nil {
		return nil, err
	}
	confirmed := head != nil || f.unconfirmed
	if f.cosigned && cfg.Policy.NeedsCosigners() {
		answered := make(map[string]bool)
		for _, w := range cfg.Policy.Witnesses {
			c := cfg.Cosigners[w.URL]
			if c == nil {
				continue
			}
			raw, err := c.Checkpoint(ctx, cfg.Origin)
			if err == nil {
				n, err = checkpoint.Open(cfg.Signer.Key(), raw)
			}
			if err != nil {
				g.say("%s at %s: %v", w.Name, w.URL, err)
				continue
			}
			answered[w.Name] = true
			notes = append(notes, n)
		}
		if !cfg.Policy.Met(answered) && !f.unconfirmed {
			return nil, fmt.Errorf("the cosigners that answer are no quorum of %s: another one may have seen more; try again when they are there", g.policy)
		}
		confirmed = true
	}
	if !confirmed {
		return nil, fmt.Errorf("nothing confirms that size %d was the newest: bring the newest signed-head file back, or pass --policy with the log's cosigners. --unconfirmed believes %s alone; if more was signed, that is a fork", n.Size, f.from)
	}
	return notes, nil
}

// readContent reads lines of JSON with "event", and "receipt" if it was kept.
func readContent(paths []string) (all []log.Content, err error) {
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("reading the events: %w", err)
		}
		d := json.NewDecoder(bufio.NewReader(f))
		for line := 1; err == nil; line++ {
			var row struct{ Event, Receipt []byte }
			if err = d.Decode(&row); err != nil || row.Event == nil {
				continue
			}
			c := log.Content{Body: row.Event}
			if p, e := answer.ParsePublished(row.Receipt); e == nil {
				c.Opening = p.Opening
			} else if p, e := answer.ParseDurable(row.Receipt); e == nil {
				c.Opening = p.Opening
			} else if row.Receipt != nil {
				err = fmt.Errorf("value %d: its receipt is none", line)
			}
			all = append(all, c)
		}
		f.Close()
		if err != io.EOF {
			return nil, fmt.Errorf("reading the events of %s: %w", path, err)
		}
	}
	return all, nil
}
