package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/api/credential"
	"github.com/musterlog/muster/api/tile"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
)

// canaryRig is a log with all its parties, each a process of its own, and all
// that they said, wrote and sent.
type canaryRig struct {
	*testing.T
	root, policy string
	log          *process
	running      map[*process]string // what was started

	mu       sync.Mutex
	surfaces map[string][]byte
	canaries []*canary
}

func (r *canaryRig) path(parts ...string) string {
	return filepath.Join(append([]string{r.root}, parts...)...)
}

func (r *canaryRig) saw(surface string, data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.surfaces[surface] = append(append(r.surfaces[surface], data...), '\n')
}

func (r *canaryRig) hide(kind, owner string, value []byte) {
	if len(value) < 16 {
		r.Fatalf("%s of %d bytes: too short to be one of a kind", kind, len(value))
	}
	r.canaries = append(r.canaries, &canary{kind, owner, value})
}

// through is a way to a server on which all answers are seen.
func (r *canaryRig) through(url, surface string) string {
	return proxy(r.T, url, func(answer *http.Response) error {
		dump, err := httputil.DumpResponse(answer, true)
		if err == nil {
			r.saw(surface+" "+answer.Request.URL.Path, dump)
		}
		return err
	})
}

// run is a command as a process of its own, which must end with this code.
func (r *canaryRig) run(code int, surface string, args ...string) {
	r.Helper()
	s := muster(r.T, args...)
	r.saw(surface, []byte(s.out+s.err))
	if s.code != code {
		r.Fatalf("muster %v: exit code %d\n%s%s", args, s.code, s.out, s.err)
	}
}

func (r *canaryRig) read(parts ...string) string {
	r.Helper()
	data, err := os.ReadFile(r.path(parts...))
	if err != nil {
		r.Fatal(err)
	}
	return strings.TrimSuffix(string(data), "\n")
}

// newCanaryRig makes all keys, and runs log, witness and auditor. Keys are drawn
// as always: each is one of a kind.
func newCanaryRig(t *testing.T) *canaryRig {
	r := &canaryRig{T: t, root: t.TempDir(), surfaces: map[string][]byte{}, running: map[*process]string{}}
	old := syscall.Umask(0) // of the processes too: what makes a file says for whom
	t.Cleanup(func() { syscall.Umask(old) })
	// Where temporary files would come to lie, and how much a crash would tell.
	t.Setenv("TMPDIR", r.path("temp"))
	t.Setenv("GOTRACEBACK", "system")
	if err := os.Mkdir(r.path("temp"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.run(exitOK, "said by nobody: init", "init", "--dir", r.path("log"), "--origin", "example.org/canary", "--mldsa")
	for _, scope := range []string{"read", "write", "operator"} {
		if err := os.MkdirAll(r.path("tokens"), 0o700); err != nil {
			t.Fatal(err)
		}
		r.run(exitOK, "said by nobody: token add", "token", "add", "--dir", r.path("log"), "--scope", scope, "--out", r.path("tokens", scope))
	}
	vkey := r.read("log", "log.vkey")
	logs := policyFile(t, r.path("logs"), "log "+vkey+"\n")
	witness := r.start("witness", "--dir", r.path("witness"), "--logs", logs, "--listen", "127.0.0.1:0", "--init", "--name", "w.example.net")
	r.policy = policyFile(t, r.path("policy"), fmt.Sprintf("log %s\nwitness w %s %s\nquorum w\n", vkey, r.read("witness", "witness.vkey"), r.through(witness.url, "to the witness")))
	r.serve()
	r.start("audit", "--dir", r.path("auditor"), "--log", r.through(r.log.url, "public"), "--vkey", vkey, "--listen", "127.0.0.1:0", "--name", "a.example.net")
	return r
}

func (r *canaryRig) serve(args ...string) {
	r.Helper()
	r.log = r.start(append([]string{"serve", "--dir", r.path("log"), "--listen", "127.0.0.1:0", "--policy", r.policy, "--epoch", "5ms", "--heartbeat", "1h", "--admin", ":0"}, args...)...)
}

// start runs a server.
func (r *canaryRig) start(args ...string) *process {
	r.Helper()
	p, err := startMuster(args...)
	if err == nil {
		err = p.await()
	}
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(p.kill)
	r.running[p] = args[0]
	return p
}

// end ends a server, and sees what it said.
func (r *canaryRig) end(p *process, how func(*process) error) {
	r.Helper()
	if err := how(p); err != nil {
		r.Error(err)
	}
	r.saw("said by the server "+r.running[p], []byte(p.stderr()))
	delete(r.running, p)
}

// owner plays an account with the agent: it registers, links two devices, loses
// one by itself and one by the operator, is looked up, and is watched.
func (r *canaryRig) owner(who, keyType string) {
	id := r.account(who)
	at := r.through(r.log.url, "to "+who)
	as := func(code int, token string, args ...string) {
		r.Helper()
		r.run(code, "said by "+who, append(args, "--log", at, "--policy", r.policy, "--token", r.path("tokens", token), "--state", r.path(who, "state"))...)
	}
	for _, args := range [][]string{{"register", id, "--type", keyType}, {"link", id, "--type", keyType}, {"link", id}, {"unlink", id, "1"}, {"confirm", id}} {
		as(exitOK, "write", append(args, "--keys", r.path("keys"))...)
	}
	as(exitOK, "read", "devices", id, "--json")
	as(exitOK, "read", "verify", id)
	as(exitOK, "operator", "operator", "remove", id, "2")
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			r.Error(err)
		}
		r.saw("posted to "+who, body)
	}))
	defer hook.Close()
	as(exitRefuse, "read", "monitor", "--once", "--scan", "--watch", id, "--webhook", hook.URL, "--dir", r.path(who, "monitor"))
}

// account is a new one.
func (r *canaryRig) account(who string) string {
	text := hex.EncodeToString(randomBytes(16))
	id := name.Identifier(text).AccountID()
	r.hide("identifier", who, []byte(text))
	r.hide("account id", who, id[:])
	return text
}

// phone plays an account by the API: a promise, and a second event for a seq that
// is taken. It returns an event that is not sent yet.
func (r *canaryRig) phone(who string) []byte {
	p := liar.NewPhone("example.org/canary", name.Identifier(r.account(who)), 1767225600000)
	c := r.client("to " + who)
	send := func(event []byte, want answer.Want) answer.Outcome {
		r.Helper()
		outcomes, err := c.Submit(r.Context(), [][]byte{event}, want)
		if err != nil {
			r.Fatal(err)
		}
		return outcomes[0]
	}
	if o := send(p.Register(), answer.Want{}); o.Err != nil || o.Refused != nil {
		r.Fatal(o.Err, o.Refused)
	}
	old := p.At.Clone()
	promised := p.Add()
	if o := send(promised, answer.Want{Receipt: true, Wait: answer.WaitDurable}); len(o.Receipt) == 0 {
		r.Fatal("no promise", o.Err, o.Refused)
	}
	newest := p.At
	p.At = old
	if o := send(p.Confirm(), answer.Want{}); o.Refused == nil || len(o.Refused.Head) == 0 {
		r.Fatalf("an event for a seq that is taken: %+v", o)
	}
	p.At = newest
	for _, k := range append(slices.Collect(maps.Values(p.Companions)), p.Primary) {
		r.device(who, k)
	}
	return p.Confirm()
}

func (r *canaryRig) device(who string, k *event.PrivateKey) {
	secret, public := k.Seed(), k.Public()
	r.hide("device secret", who, secret[:])
	r.hide("device key", who, public[1:])
}

func (r *canaryRig) client(surface string) *client.Client {
	r.Helper()
	token, err := credential.ReadToken(r.path("tokens", "write"))
	if err != nil {
		r.Fatal(err)
	}
	c, err := client.New(client.Config{URL: r.through(r.log.url, surface), Token: token})
	if err != nil {
		r.Fatal(err)
	}
	return c
}

// strangers ask for everything that nobody may have, put secrets where they do
// not belong, and read all public files and all that the operator watches.
func (r *canaryRig) strangers() {
	r.Helper()
	var account, token string
	for _, c := range r.canaries {
		if c.kind == "account id" {
			account = hex.EncodeToString(c.value)
		}
	}
	token = r.read("tokens", "read")
	at := r.through(r.log.url, "refusal")
	ask := func(method, url, authorization, body string) {
		r.Helper()
		q, err := http.NewRequestWithContext(r.Context(), method, url, strings.NewReader(body))
		if err != nil {
			r.Fatal(err)
		}
		q.Header.Set("Content-Type", "application/json")
		q.Header.Set("Cookie", "token="+token)
		if authorization != "" {
			q.Header.Set("Authorization", authorization)
		}
		answer, err := http.DefaultClient.Do(q)
		if err != nil {
			r.Fatal(err)
		}
		answer.Body.Close()
	}
	for _, authorization := range []string{"", "Bearer " + token, "Bearer " + token + "0", "Basic " + token, token} {
		for _, body := range []string{`{}`, `{`, token, `{"request":"` + token + `"}`, `{"` + token + `":1}`, `{"request":"AAAA"}`, `{"events":["` + account + `"]}`} {
			for _, path := range []string{lookupPath, submitPath, submitPath + "Stream", "/muster.v1.MusterService/Info"} {
				ask(http.MethodPost, at+path, authorization, body)
			}
		}
		for _, path := range []string{"/" + token, "/" + account, "/tile/0/" + account, "/tile/entries/" + token, lookupPath + "?token=" + token, "/checkpoint?" + account} {
			ask(http.MethodGet, at+path, authorization, "")
		}
	}
	files := r.through(r.log.url, "public")
	note, err := get(files + "/checkpoint")
	if err != nil {
		r.Fatal(err)
	}
	newest, err := checkpoint.Parse(note)
	if err != nil {
		r.Fatal(err)
	}
	for width := range int(newest.Size) {
		for _, path := range []tile.Path{{Width: width + 1}, {Entries: true, Width: width + 1}} {
			if _, err := get(files + path.String()); err != nil {
				r.Error(err)
			}
		}
	}
	admin := r.through(adminURL(r.T, r.log), "admin")
	for _, path := range append(adminPaths, "/debug/pprof/goroutine?debug=2", "/debug/pprof/heap?debug=1", "/debug/pprof/allocs?debug=1", "/debug/pprof/threadcreate?debug=1") {
		if status, _ := statusOf(r.T, admin+path); status != http.StatusOK {
			r.Errorf("%s: %d", path, status)
		}
	}
}
