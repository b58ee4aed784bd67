package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/log/event"
)

const (
	// importWindow is how many chunks may be sent and not answered: five epochs
	// of full ones. The log itself takes less; what it does not answer must not
	// fill our memory.
	importWindow = 50

	importSave   = 100 * time.Millisecond // the cursor is saved so often: what came since is sent again after a kill
	importReport = 5 * time.Second        // a line of progress

	// A stream that ended is opened again after a pause, until nothing was
	// answered for importPatience: a log restarts in seconds.
	importPause    = 200 * time.Millisecond
	importPatience = time.Minute
)

func importCommand(g *globals) *cobra.Command {
	var cursor, refused string
	cmd := &cobra.Command{
		Use:   "import FILE|-",
		Short: "Send many signed events, and go on where an earlier import ended",
		Long: `Sends events that clients signed to the log over one stream, and waits until all
are published. FILE holds encoded Events one behind the other, each behind its
length in 2 bytes, big-endian. Events of an account stand in the order of their
seqs; accounts may be mixed in any way, and there may be any number of them.

It can be ended or killed at any moment and run again: FILE.cursor (--cursor)
says how far it came, and an event that is sent twice is logged once. Input from
"-" is resumed only with --cursor, and must begin as it did before.

Refused events are told on stderr, numbered from 0 in the input; --refused FILE
collects them in the same form as the input. The exit code is 1 if there is any.`,
		Args: takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, size := g.in, int64(0)
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				if info, err := f.Stat(); err == nil {
					size = info.Size()
				}
				in = f
				if cursor == "" {
					cursor = args[0] + ".cursor"
				}
			}
			c, err := g.unverified()
			if err != nil {
				return err
			}
			i := &importer{globals: g, client: c, source: newEventSource(in), size: size, path: cursor}
			return i.run(cmd.Context(), refused)
		},
	}
	cmd.Flags().StringVar(&cursor, "cursor", "", "`FILE` that says how far the import came; default: the input's name with .cursor")
	cmd.Flags().StringVar(&refused, "refused", "", "`FILE` for the refused events")
	return cmd
}

// importer is one import. Its goroutines: one reads ahead, one sends, and the
// importer's own hears the answers and owns all fields.
type importer struct {
	*globals
	client  *client.Client
	source  *eventSource
	size    int64 // of the input; 0: not known
	path    string
	refused *refusedFile

	window *chunkWindow
	cursor *importCursor // what is answered, in whole chunks
	before uint64        // events, by earlier imports

	answered, refusals uint64 // events, earlier imports included

	began, saved, reported, moved time.Time
}

func (i *importer) run(ctx context.Context, refused string) error {
	info, err := i.client.Info(ctx)
	if err != nil {
		return err
	}
	if i.cursor, err = loadCursor(i.path, info.GetOrigin()); err != nil {
		return err
	}
	if err := i.source.skip(i.cursor.position); err != nil {
		return fmt.Errorf("%s: %w (remove it to import from the beginning)", i.path, err)
	}
	if i.source.lines() { // before anything is written beside it
		return errors.New("the input looks like JSON lines, not like events behind their lengths: `muster submit` takes those")
	}
	if refused != "" {
		if i.refused, err = openRefused(refused, i.cursor); err != nil {
			return err
		}
		defer i.refused.Close()
	}
	i.cursor.RefusedBytes = i.refused.written()
	if err := i.save(); err != nil { // from here on this input and these files belong together
		return err
	}
	i.before, i.answered, i.refusals = i.cursor.Events, i.cursor.Events, i.cursor.Refused
	if i.before > 0 {
		i.say("import: going on behind %d events that are answered", i.before)
	}
	i.began = time.Now()
	i.saved, i.reported, i.moved = i.began, i.began, i.began
	err = i.sendAll(ctx)
	if saved := i.save(); err == nil {
		err = saved
	}
	if err != nil {
		return fmt.Errorf("%d events are answered: %w (run it again to go on)", i.answered, err)
	}
	return i.finish()
}

// finish is the verdict on the whole input, earlier runs included.
func (i *importer) finish() error {
	sent, took := i.cursor.Events-i.before, time.Since(i.began).Seconds()
	accepted, rate := i.cursor.Events-i.cursor.Refused, float64(sent)/max(took, 1e-3)
	if i.json {
		if err := i.printJSON(map[string]any{
			"accepted": accepted, "refused": i.cursor.Refused, "before": i.before, "seconds": took, "rate": rate,
		}); err != nil {
			return err
		}
	} else {
		i.print("%d accepted, %d refused; %d of them now, in %.1f s, %.0f a second\n", accepted, i.cursor.Refused, sent, took, rate)
	}
	if i.cursor.Refused > 0 {
		return fmt.Errorf("%d of %d events were refused", i.cursor.Refused, i.cursor.Events)
	}
	return nil
}

// sendAll opens streams until everything is answered.
func (i *importer) sendAll(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	chunks, failed := i.source.chunks(ctx)
	i.window = newChunkWindow(chunks, importWindow)
	for {
		idle := i.window.empty()
		if !i.window.some(ctx) {
			break
		}
		if idle {
			i.moved = time.Now()
		}
		err := i.stream(ctx)
		switch {
		case err == nil, !final(err) && i.window.empty(): // nothing came for long
			continue
		case ctx.Err() != nil:
			return ctx.Err()
		case final(err) || time.Since(i.moved) > importPatience:
			return err
		}
		i.say("import: %v; sending the rest again", err)
		select {
		case <-time.After(importPause):
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return *failed
}

// final says that another stream would end like this one.
func final(err error) bool {
	var local *localError
	switch connect.CodeOf(err) {
	case connect.CodeInvalidArgument, connect.CodeUnimplemented, connect.CodeResourceExhausted,
		connect.CodeUnauthenticated, connect.CodePermissionDenied:
		return true
	}
	return errors.As(err, &local)
}

// localError is a fault on this side.
type localError struct{ error }

// stream sends what is not answered until all is, or until the stream ends.
func (i *importer) stream(ctx context.Context) error {
	s, err := i.client.Stream(ctx)
	if err != nil {
		return err
	}
	from := i.window.next() // the stream's numbers count from here
	fed := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	go func() { fed <- i.window.feed(ctx, s) }()
	err = i.hear(s, from)
	cancel()
	s.Close()
	if sent := <-fed; err == nil && sent != nil {
		err = sent
	}
	return err
}

// hear takes the answers of one stream.
func (i *importer) hear(s *client.Stream, from uint64) error {
	for {
		a, err := s.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, r := range a.Refused {
			if err := i.refuse(from+r.Index, r.Why); err != nil {
				return &localError{fmt.Errorf("keeping a refused event: %w", err)}
			}
		}
		i.answered, i.moved = from+a.Events, time.Now()
		if end, whole := i.window.answered(i.answered); whole {
			i.cursor.position, i.cursor.Refused, i.cursor.RefusedBytes = end, i.refusals, i.refused.written()
		}
		if err := i.tick(i.moved); err != nil {
			return &localError{err}
		}
	}
}

func (i *importer) refuse(n uint64, why *event.Error) error {
	body := i.window.event(n)
	account := ""
	if e, err := event.Parse(body); err == nil {
		account = fmt.Sprintf(" (account %s, seq %d)", e.Account, e.Seq)
	}
	i.say("event %d%s: refused: %s: %s", n, account, why.Rule, why.Detail)
	i.refusals++
	return i.refused.add(body)
}

// tick does what is due from time to time.
func (i *importer) tick(now time.Time) error {
	if now.Sub(i.reported) > importReport {
		i.reported = now
		share := ""
		if i.size > 0 {
			share = fmt.Sprintf(", %.0f %% of the input", 100*float64(i.cursor.Offset)/float64(i.size))
		}
		rate := float64(i.answered-i.before) / now.Sub(i.began).Seconds()
		i.say("import: %d events%s, %.0f a second, %d refused", i.answered, share, rate, i.refusals)
	}
	if now.Sub(i.saved) > importSave {
		i.saved = now
		return i.save()
	}
	return nil
}

func (i *importer) save() error {
	if err := i.refused.sync(); err != nil {
		return fmt.Errorf("keeping the refused events: %w", err)
	}
	return i.cursor.save(i.path)
}
