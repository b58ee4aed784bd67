package main

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"filippo.io/edwards25519"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/log/store/pebble"
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

// collect hides what the parties drew for themselves: keys, and the openings in
// the backup, of which it also reads every row.
func (r *canaryRig) collect() {
	r.Helper()
	signer, err := base64.StdEncoding.DecodeString(strings.SplitN(r.read("log", "log.key"), "+", 5)[4])
	if err != nil {
		r.Fatal(err)
	}
	r.hide("log key", "", signer[1:])
	seeds := map[string]string{"log/vrf.key": "VRF key", "log/log-mldsa.key": "log ML-DSA key"}
	for _, role := range []string{"witness", "auditor"} {
		seeds[role+"/"+role+".key"], seeds[role+"/"+role+"-mldsa.key"] = "cosigner key", "cosigner key"
	}
	for file, kind := range seeds {
		words := strings.Fields(r.read(file))
		seed, err := hex.DecodeString(words[len(words)-1])
		if err != nil {
			r.Fatal(err)
		}
		r.hide(kind, "", seed)
		if kind == "VRF key" { // what is computed from it serves as well
			expanded := sha512.Sum512(seed)
			scalar, err := edwards25519.NewScalar().SetBytesWithClamping(expanded[:32])
			if err != nil {
				r.Fatal(err)
			}
			r.hide("VRF scalar", "", scalar.Bytes())
			r.hide("VRF nonce key", "", expanded[32:])
		}
	}
	for _, scope := range []string{"read", "write", "operator"} {
		text := r.read("tokens", scope)
		r.hide("token", "", []byte(text))
		secret, err := hex.DecodeString(strings.TrimPrefix(text, "muster_"))
		if err != nil {
			r.Fatal(err)
		}
		r.hide("token", "", secret)
	}
	owners := map[name.AccountID]string{}
	for _, c := range r.canaries {
		if c.kind == "account id" {
			owners[name.AccountID(c.value)] = c.owner
		}
	}
	for id, who := range owners {
		files, err := filepath.Glob(r.path("keys", id.String(), "*.key"))
		if err != nil {
			r.Fatal(err)
		}
		for _, file := range files {
			public, err := hex.DecodeString(strings.TrimSuffix(filepath.Base(file), ".key"))
			if err != nil {
				r.Fatal(err)
			}
			k, err := keyDir(r.path("keys")).load(id, event.Key(public))
			if err != nil {
				r.Fatal(err)
			}
			r.device(who, k)
		}
	}
	s, err := pebble.OpenReadOnly(logDir(r.path("backup")).storeConfig())
	if err != nil {
		r.Fatal(err)
	}
	defer s.Close()
	for row := range s.Rows() {
		if row.Err != nil {
			r.Fatal(row.Err)
		}
		if e, ok := row.Value.(*store.Event); ok {
			r.hide("opening", owners[e.Account], e.Opening[:])
			r.saw("rows of the backup", slices.Concat(e.Account[:], e.Opening[:], e.Body))
			continue
		}
		r.saw("rows of the backup", fmt.Appendf(nil, "%s %+v", row.Key, row.Value))
	}
}

// forAll are the files that others may read, and those of the engine, which does not
// say how it makes them: their folder keeps others out.
var forAll = regexp.MustCompile(`^(?:[\w/-]+\.vkey|log/policy|(?:log/store|backup/store|auditor/map)/pebble(?:/.+)?)$`)

// disk sees all files, with their names, and that they are for their owner alone.
func (r *canaryRig) disk() {
	r.Helper()
	err := filepath.WalkDir(r.root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(r.root, path)
		var data []byte
		if e.Type().IsRegular() {
			if data, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		r.saw("disk/"+name, append([]byte(name+"\n"), data...))
		info, err := e.Info()
		if err != nil {
			return err
		}
		if open := info.Mode().Perm() & 0o077; path != r.root && open != 0 && !forAll.MatchString(name) {
			r.Errorf("%s has mode %v", name, info.Mode())
		}
		return nil
	})
	if err != nil {
		r.Fatal(err)
	}
	if left, err := os.ReadDir(r.path("temp")); err != nil || len(left) > 0 {
		r.Errorf("temporary files are left: %v %v", left, err)
	}
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
