package main

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/musterlog/muster/log/answer"
)

// allowed is the whole table of where something secret or private may stand.
// What stands elsewhere is a leak; what is not found where it is allowed is a
// row too many, or a search that is blind there.
var allowed = []allowance{
	{`^disk/log/log\.key$`, `^log key$`, "the key's own file"},
	{`^disk/log/log-mldsa\.key$`, `^log ML-DSA key$`, "the key's own file"},
	{`^disk/log/vrf\.key$`, `^VRF key$`, "the key's own file"},
	{`^disk/(?:witness|auditor)/\w+(?:-mldsa)?\.key$`, `^cosigner key$`, "the key's own file"},
	{`^disk/tokens/`, `^token$`, "the file of whoever shows the token"},
	{`^disk/log/credentials$`, `^token$`, "its SHA-256, by which the log knows it"},
	{`^disk/log/store/`, `^(?:account id|device key|opening)$`, "what the operator answers with"},
	{`^(?:disk/backup/store/|rows of the backup$)`, `^(?:account id|device key|opening)$`, "a backup restores what the operator answers with"},
	{`^to (\w+) /muster.v1.MusterService/Lookup$`, `^(?:account id|device key|opening)$`, "who may look an account up is shown its events"},
	{`^to (\w+) /muster.v1.MusterService/Submit$`, `^(?:account id|device key|opening)$`, "a receipt opens its own event; who signed on an older head is told the newest one"},
	{`^refusal /muster.v1.MusterService/\w+$`, `^token$`, "a body that is no JSON is quoted to whoever sent it"},
	{`^disk/keys/`, `^(?:device secret|device key|account id)$`, "the owner's own agent"},
	{`^disk/(alice|bob)/`, `^(?:identifier|account id|device key)$`, "the owner's own state and journal"},
	{`^said by (\w+)$`, `^(?:identifier|account id|device key)$`, "the owner's own agent and monitor"},
	{`^posted to (\w+)$`, `^(?:identifier|account id|device key)$`, "the owner's own webhook"},
}

type allowance struct {
	surface string // regexp; its group, if any, is the owner of what may stand there
	kinds   string // regexp
	why     string
}

func (a *allowance) takes(surface string, s sighting) bool {
	m := regexp.MustCompile(a.surface).FindStringSubmatch(surface)
	return m != nil && regexp.MustCompile(a.kinds).MatchString(s.kind) && (len(m) == 1 || m[1] == s.owner)
}

// judge holds all that was seen against the table.
func (r *canaryRig) judge() {
	r.Helper()
	s := newSearch(r.canaries)
	needed := make([]bool, len(allowed))
	total := 0
	for surface, data := range r.surfaces {
		total += len(data)
		for found, at := range s.in(data) {
			row := slices.IndexFunc(allowed, func(a allowance) bool { return a.takes(surface, found) })
			if row >= 0 {
				needed[row] = true
				continue
			}
			r.Errorf("%s of %q is in %q as %s: …%q", found.kind, found.owner, surface, found.spelling, data[max(0, at-40):min(len(data), at+60)])
		}
	}
	for i, a := range allowed {
		if !needed[i] {
			r.Errorf("nothing of %s is in %s: is the row needed, and is it seen?", a.kinds, a.surface)
		}
	}
	r.Logf("%d canaries, %d needles, %d surfaces, %d bytes", len(r.canaries), len(s), len(r.surfaces), total)
}

// TestCanaries: every secret and private value of a whole workload of real
// processes is sought in everything that any of them served, said, sent or wrote.
func TestCanaries(t *testing.T) {
	r := newCanaryRig(t)
	r.owner("alice", "ed25519")
	r.owner("bob", "curve25519")
	waits := r.phone("carol")
	r.strangers()
	r.run(exitOK, "said by nobody: backup", "backup", "--dir", r.path("log"), "--to", r.path("backup"))
	r.run(exitOK, "said by nobody: token list", "token", "list", "--dir", r.path("log"))

	// A crash with an event under way: the traces of all goroutines.
	r.end(r.log, (*process).stop)
	r.serve("--epoch", "3h")
	c, sent := r.client("to carol"), make(chan struct{})
	go func() {
		defer close(sent)
		c.Submit(r.Context(), [][]byte{waits}, answer.Want{})
	}()
	until(t, "the event waits for its epoch", func(context.Context) bool {
		_, metrics := statusOf(t, adminURL(t, r.log)+"/metrics")
		return strings.Contains(metrics, "\nmuster_events_waiting 1\n")
	})
	r.strangers()
	r.end(r.log, func(p *process) error {
		err := p.command.Process.Signal(syscall.SIGQUIT)
		<-p.done
		return err
	})
	<-sent
	if said := string(r.surfaces["said by the server serve"]); !strings.Contains(said, "SIGQUIT") || strings.Count(said, "\ngoroutine ") < 10 {
		t.Errorf("no traces in\n%s", said)
	}
	r.serve()
	for p := range r.running {
		r.end(p, (*process).stop)
	}
	r.run(exitOK, "said by nobody: fsck", "fsck", "--dir", r.path("log"))
	r.collect()
	r.disk()
	r.judge()
}
