package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/musterlog/muster/api/tile"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
)

// TestScripts runs the real command, as a person would, through the stories
// in testdata. Beside testscript's own commands they have those below.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", filepath.Dir(builtMuster)+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Values[running{}] = new(*process)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve":   scriptServe,
			"ends":    scriptEnds,
			"witness": scriptWitness,
			"exits":   scriptExits,
			"json":    scriptJSON,
			"setenv":  scriptSetenv,
			"events":  scriptEvents,
			"frames":  scriptFrames,
			"awaits":  scriptAwaits,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// running is the key under which a script finds its server.
type running struct{}

// scriptServe runs a log in the background and sets $LOG to its URL, and
// $ADDRESS to its host and port:
//
//	serve DIR [FLAG …]
//
// Unless flags say otherwise its epochs are short, and empty ones so rare that
// sizes can be compared.
func scriptServe(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: serve DIR [FLAG ...]")
	}
	server := ts.Value(running{}).(**process)
	if *server != nil {
		ts.Fatalf("this script has a server already")
	}
	p, err := serve(ts.MkAbs(args[0]), append([]string{"--epoch", "5ms", "--heartbeat", "1h"}, args[1:]...)...)
	ts.Check(err)
	ts.Defer(p.kill)
	*server = p
	ts.Setenv("LOG", p.url)
	ts.Setenv("ADDRESS", p.url[strings.Index(p.url, "//")+2:])
}

// scriptEnds ends the server with SIGTERM, and shows all that it said. It is not
// called stop, which is testscript's own word for the end of the whole script:
//
//	ends
func scriptEnds(ts *testscript.TestScript, neg bool, args []string) {
	server := ts.Value(running{}).(**process)
	if neg || len(args) > 0 || *server == nil {
		ts.Fatalf("usage: ends, after serve")
	}
	ts.Check((*server).stop())
	fmt.Fprint(ts.Stderr(), (*server).stderr())
	*server = nil
}

// scriptWitness runs a witness in the background until the script ends, and
// writes the line that names it in a policy:
//
//	witness NAME LOGS
//
// Its folder is NAME, its key's name NAME.example.net, the line in NAME.line.
func scriptWitness(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: witness NAME LOGS")
	}
	name, dir := args[0], ts.MkAbs(args[0])
	p, err := startMuster("witness", "--init", "--dir", dir, "--name", name+".example.net", "--logs", ts.MkAbs(args[1]), "--listen", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(p.kill)
	ts.Check(p.await())
	vkey := strings.TrimSpace(ts.ReadFile(filepath.Join(args[0], "witness.vkey")))
	ts.Check(os.WriteFile(dir+".line", []byte(fmt.Sprintf("witness %s %s %s\n", name, vkey, p.url)), 0o600))
}

// scriptExits runs a command that has to end with an exit code:
//
//	exits CODE COMMAND [ARG …]
//
// Whoever ends in failure says why, on stderr and nowhere else.
func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG ...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	err = ts.Exec(args[1], args[2:]...)
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
	if stderr := ts.ReadFile("stderr"); code != 0 && !strings.Contains(stderr, "muster: ") {
		ts.Fatalf("failed without saying why")
	}
}

// scriptAwaits waits until something that runs in the background has written a
// line that matches:
//
//	awaits FILE REGEXP
func scriptAwaits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: awaits FILE REGEXP")
	}
	want := regexp.MustCompile("(?m)" + args[1])
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		said, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && want.Match(said) {
			return
		}
		if time.Since(began) > patience {
			ts.Fatalf("waited in vain for %q in %s: %v\n%s", args[1], args[0], err, said)
		}
	}
}

// scriptJSON looks into the JSON that the last command printed:
//
//	[!] json PATH WANT
//
// PATH is members and indexes, such as devices[0].key_index; PATH.length is
// that of a list. WANT is a text, a number, true, false or null, or
// /a regular expression/ that matches the whole of it.
func scriptJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] json PATH WANT")
	}
	got, want := look(ts, args[0]), args[1]
	matches := got == want
	if inner, ok := strings.CutPrefix(want, "/"); ok && strings.HasSuffix(inner, "/") && inner != "" {
		matches = regexp.MustCompile("^(?:" + strings.TrimSuffix(inner, "/") + ")$").MatchString(got)
	}
	if matches == neg {
		ts.Fatalf("%s is %q; want %q: %v", args[0], got, want, !neg)
	}
}

// scriptSetenv keeps a JSON member for later:
//
//	setenv NAME PATH
func scriptSetenv(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: setenv NAME PATH")
	}
	ts.Setenv(args[0], look(ts, args[1]))
}

func look(ts *testscript.TestScript, path string) string {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		ts.Fatalf("stdout is no JSON: %v", err)
	}
	path, length := strings.CutSuffix(path, ".length")
	for _, step := range regexp.MustCompile(`[^.\[\]]+`).FindAllString(path, -1) {
		switch at := v.(type) {
		case map[string]any:
			next, ok := at[step]
			if !ok {
				ts.Fatalf("no member %s on the way to %s", step, path)
			}
			v = next
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(at) {
				ts.Fatalf("no element %s of %d on the way to %s", step, len(at), path)
			}
			v = at[i]
		default:
			ts.Fatalf("nothing below %s on the way to %s", step, path)
		}
	}
	if length {
		list, ok := v.([]any)
		if !ok {
			ts.Fatalf("%s is no list", path)
		}
		return strconv.Itoa(len(list))
	}
	switch v.(type) {
	case map[string]any, []any:
		ts.Fatalf("%s is no single value", path)
	case nil:
		return "null"
	}
	return fmt.Sprint(v)
}

// scriptEvents writes signed events of an account as `muster submit` takes
// them, one line each:
//
//	events FILE ORIGIN IDENTIFIER EVENT …
//
// EVENT is register, add, confirm, reregister, or one of these after "-",
// which is signed like the others, so that they build on it, but not written.
// The same words make the same bytes. It sets $ACCOUNT to the account_id.
func scriptEvents(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: events FILE ORIGIN IDENTIFIER EVENT ...")
	}
	phone := liar.NewPhone(name.Origin(args[1]), name.Identifier(args[2]), 1767225600000)
	kinds := map[string]func() []byte{
		"register": phone.Register, "add": phone.Add, "confirm": phone.Confirm,
		"reregister": func() []byte { return phone.Reregister(false) },
	}
	var lines []string
	for _, word := range args[3:] {
		kind, hidden := strings.CutPrefix(word, "-")
		make, ok := kinds[kind]
		if !ok {
			ts.Fatalf("no event %q", word)
		}
		if body := make(); !hidden {
			line, err := json.Marshal(map[string]string{"note": word, "event": base64.StdEncoding.EncodeToString(body)})
			ts.Check(err)
			lines = append(lines, string(line)+"\n")
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(lines, "")), 0o600))
	ts.Setenv("ACCOUNT", phone.Account().String())
}

// scriptFrames writes the events of files that the command events made as
// `muster import` takes them:
//
//	frames FILE EVENTS …
func scriptFrames(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: frames FILE EVENTS ...")
	}
	var frames []byte
	for _, name := range args[1:] {
		d := json.NewDecoder(strings.NewReader(ts.ReadFile(name)))
		for {
			var row struct{ Event []byte }
			if err := d.Decode(&row); err == io.EOF {
				break
			} else {
				ts.Check(err)
			}
			frames = tile.AppendEntry(frames, row.Event)
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), frames, 0o600))
}
