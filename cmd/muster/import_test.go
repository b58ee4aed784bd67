package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/api/tile"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
)

// A source gives what has come, whole events before an error, and counts where
// it is.
func TestEventSource(t *testing.T) {
	var all []byte
	for _, e := range []string{"one", "", "three"} {
		all = tile.AppendEntry(all, []byte(e))
	}
	s := newEventSource(iotest.OneByteReader(bytes.NewReader(append(all, 0, 9, 1))))
	var got []string
	for {
		c, err := s.next()
		if c == nil {
			if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "event 3, at byte 14") {
				t.Errorf("ended with %v", err)
			}
			break
		}
		if c.first != uint64(len(got)) {
			t.Errorf("a chunk says it begins with event %d, want %d", c.first, len(got))
		}
		for _, e := range c.events {
			got = append(got, string(e))
		}
	}
	if fmt.Sprintf("%q", got) != `["one" "" "three"]` {
		t.Errorf("read %q", got)
	}

	// A part of the next event holds nothing back.
	r, w := io.Pipe()
	go w.Write(append(all[:5:5], 0, 9, 1))
	if c, err := newEventSource(r).next(); err != nil || len(c.events) != 1 {
		t.Errorf("%v, one event and a part of the next are %d events", err, len(c.events))
	}
	w.Close()

	// Large events make a chunk of fewer.
	big := tile.AppendEntry(nil, make([]byte, 60_000))
	s = newEventSource(bytes.NewReader(bytes.Repeat(big, 100)))
	c, err := s.next()
	if err != nil || len(c.events) > importChunk/60_000+1 {
		t.Errorf("%v, a chunk of %d events of 60,000 bytes", err, len(c.events))
	}
	at := c.end
	s = newEventSource(bytes.NewReader(bytes.Repeat(big, 100)))
	if err := s.skip(at); err != nil {
		t.Error(err)
	}
	if again, err := s.next(); err != nil || again.first != at.Events {
		t.Errorf("%v, after a position the next event is %d, want %d", err, again.first, at.Events)
	}
	for name, other := range map[string][]byte{"another": bytes.Repeat([]byte{1}, 7_000_000), "shorter": big} {
		if err := newEventSource(bytes.NewReader(other)).skip(at); err == nil {
			t.Errorf("%s input was taken for the one before", name)
		}
	}
}

// JSON lines are told from events however an editor or a person begins them.
func TestJSONLines(t *testing.T) {
	event := tile.AppendEntry(nil, liar.NewPhone(killOrigin, "alice", 1767225600000).Register())
	for text, want := range map[string]bool{
		`{"event":"AA=="}`: true, ` {"event":"AA=="}`: true, "\n\n{\"event\"": true, "\r\n\t{ \"event\"": true,
		"\ufeff{\"event\":\"AA==\"}": true, "\ufeff\n {\n\"Event\"": true,
		string(event): false, "": false, "{": false, "\x00\x07{\"event": false, "\ufeff": false, "{\"\x00": false,
	} {
		if got := newEventSource(strings.NewReader(text)).lines(); got != want {
			t.Errorf("%q is taken for JSON lines: %v, want %v", text, got, want)
		}
	}
}

// importFile writes an input of many accounts with a few events each, mixed,
// and a refused one now and then.
func importFile(t *testing.T, path string, origin name.Origin, accounts int) (phones []*liar.Phone, events, refused int) {
	var frames []byte
	add := func(body []byte) { frames, events = tile.AppendEntry(frames, body), events+1 }
	for i := range accounts {
		p := liar.NewPhone(origin, name.Identifier(fmt.Sprintf("import-%d", i)), 1767225600000)
		phones = append(phones, p)
		add(p.Register())
		for back := range min(i, 3) {
			add(phones[i-back].Confirm())
		}
		if i%50 == 7 {
			add([]byte("no event"))
			refused++
		}
	}
	if err := os.WriteFile(path, frames, 0o600); err != nil {
		t.Fatal(err)
	}
	return phones, events, refused
}

// TestImportKill: the import, the server, or both are killed in turn at any
// moment, with events that wait for their epoch. In the end every event is
// logged, once, and the refused ones are kept, once.
func TestImportKill(t *testing.T) {
	r := newKillRig(t, 0)
	dir := t.TempDir()
	file, refused, cursor := filepath.Join(dir, "events"), filepath.Join(dir, "refused"), filepath.Join(dir, "cursor")
	phones, events, bad := importFile(t, file, killOrigin, 500)
	flags := []string{"--epoch", "50ms", "--listen", freeAddress(t)}
	r.restart(flags...)
	kills := 7
	if testing.Short() {
		kills = 3
	}
	for i := range kills + 1 {
		c := exec.Command(builtMuster, "import", "--log", r.server.url, "--cursor", cursor, "--refused", refused, "--json", "-")
		stdin, err := c.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, stderr := new(bytes.Buffer), new(bytes.Buffer)
		c.Stdout, c.Stderr = stdout, stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		go drip(t, stdin, file, cursor)
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		moves(cursor, ended)
		time.Sleep(time.Duration(r.rng.IntN(100)) * time.Millisecond)
		switch {
		case i == kills:
		case i == kills-1: // the import goes on with the next server, to its end
			r.server.kill()
			r.restart(flags...)
		default:
			if i%2 == 0 { // with all that waits for its epoch
				r.server.kill()
			}
			c.Process.Kill()
			if i%2 == 0 {
				r.restart(flags...)
			}
		}
		if err := <-ended; c.ProcessState.ExitCode() < 0 && i < kills {
			continue // killed
		} else if c.ProcessState.ExitCode() != 1 { // since some are refused
			t.Fatalf("run %d ended with %v: %s", i, err, stderr)
		} else if i == kills-1 && stdout.Len() == 0 {
			continue // the server was gone before the import had asked it anything
		}
		var verdict struct{ Accepted, Refused int }
		if err := json.Unmarshal(stdout.Bytes(), &verdict); err != nil {
			t.Fatalf("run %d: %v: %s%s", i, err, stdout, stderr)
		}
		if verdict.Accepted != events-bad || verdict.Refused != bad {
			t.Errorf("verdict %+v, want %d accepted, %d refused", verdict, events-bad, bad)
		}
	}
	if logged := r.judge.verdict(r.server.url); logged != events-bad {
		t.Errorf("the log has %d EVENT leaves, want %d", logged, events-bad)
	}
	kept, err := os.ReadFile(refused)
	if err != nil || !bytes.Equal(kept, bytes.Repeat(tile.AppendEntry(nil, []byte("no event")), bad)) {
		t.Errorf("%v, the file of refused events has %d bytes, want %d events", err, len(kept), bad)
	}
	// Every account goes on where its owner left it.
	var next [][]byte
	for _, p := range phones {
		next = append(next, p.Confirm())
	}
	outcomes, err := r.client().Submit(t.Context(), next, answer.Want{})
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range outcomes {
		if o.Refused != nil || o.Err != nil {
			t.Errorf("%s does not go on: %+v", phones[i].Identifier, o)
		}
	}
}

// moves waits until an import has saved how far it came, or has ended.
func moves(cursor string, ended chan error) {
	before, _ := os.ReadFile(cursor)
	for now := before; bytes.Equal(now, before); now, _ = os.ReadFile(cursor) {
		select {
		case err := <-ended:
			ended <- err
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// drip writes what is behind the cursor bit by bit, so that who reads it is
// found in the middle.
func drip(t *testing.T, to io.WriteCloser, file, cursor string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
	}
	var at importCursor
	if text, err := os.ReadFile(cursor); err == nil {
		if err := json.Unmarshal(text, &at); err != nil {
			t.Error(err)
		}
	}
	if _, err := to.Write(data[:at.Offset]); err != nil {
		return // killed
	}
	for part := range slices.Chunk(data[at.Offset:], 1500) {
		if _, err := to.Write(part); err != nil {
			return
		}
		time.Sleep(3 * time.Millisecond)
	}
	to.Close()
}

// freeAddress is an address that was free a moment ago, for a server that comes
// back to it.
func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestStreamAgainstTheLog: what the stream says of events is what Submit says.
func TestStreamAgainstTheLog(t *testing.T) {
	r := newKillRig(t, 0)
	r.restart("--epoch", "5ms")
	p := liar.NewPhone(killOrigin, "alice", 1767225600000)
	first, second := p.Register(), p.Add()
	p.Add() // never sent
	chunks := [][][]byte{{first}, {second}, {p.Confirm(), first, {1, 2}}}
	s, err := r.client().Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, c := range chunks {
		if err := s.Send(c); err != nil {
			t.Fatal(err)
		}
	}
	s.CloseSend()
	var refused []client.RefusedEvent
	var answered uint64
	for {
		a, err := s.Receive()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		answered, refused = a.Events, append(refused, a.Refused...)
	}
	if answered != 5 || len(refused) != 2 || refused[0].Index != 2 || refused[1].Index != 4 {
		t.Fatalf("%d answered, refused %+v", answered, refused)
	}
	outcomes, err := r.client().Submit(t.Context(), append(append(chunks[0], chunks[1]...), chunks[2]...), answer.Want{})
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range outcomes {
		if want := i == 2 || i == 4; (o.Refused != nil) != want || o.Err != nil {
			t.Errorf("event %d: Submit says %+v", i, o)
		}
	}
	for _, f := range refused {
		if got, want := f.Why, outcomes[f.Index].Refused; got.Rule != want.Rule || got.Detail != want.Detail || got.Role != want.Role {
			t.Errorf("event %d: the stream says %+v, Submit %+v", f.Index, got, want)
		}
	}
}
