// Package muster_test holds the rules about which way imports run.
package muster_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/semver"
)

const module = "github.com/musterlog/muster/"

// rules says what each package of the house must never reach, and why.
// A package matches by its path or, with "/...", by everything below it.
var rules = []struct {
	packages []string
	except   []string // of packages, by their paths
	never    []string
	direct   bool // only its own imports, not what they reach
	why      string
}{
	{
		packages: []string{"log/name", "log/event", "log/vrf", "log/point", "log/commitment", "log/prefix", "log/leaf", "log/checkpoint", "log/evidence", "log/answer", "verifier", "verifier/code", "verifier/device"},
		never:    []string{"net", "net/http", "log/slog", "encoding/json", "google.golang.org/protobuf/...", "connectrpc.com/...", "github.com/cockroachdb/...", "github.com/spf13/..."},
		why:      "they run on phones and in browsers, where each of these costs megabytes or does not work",
	},
	{
		packages: []string{"log/name", "log/event", "log/vrf", "log/point", "log/commitment", "log/prefix", "log/leaf", "log/checkpoint", "log/evidence", "log/answer", "verifier", "verifier/code", "verifier/device"},
		never:    []string{"os"},
		direct:   true,
		why:      "what judges bytes has no files and no environment, so that it can be tested and embedded",
	},
	{
		packages: []string{"log/name", "log/event", "log/vrf", "log/point", "log/commitment", "log/prefix", "log/leaf", "log/checkpoint", "log/evidence"},
		never:    []string{module + "log/answer", module + "log/store/...", module + "log", module + "verifier/...", module + "api/..."},
		why:      "formats stand below everything that uses them",
	},
	{
		packages: []string{"verifier", "verifier/code", "verifier/device", "verifier/statefile"},
		never:    []string{module + "log", module + "log/store/...", module + "api/server", module + "witness/..."},
		why:      "a client must not carry a server",
	},
	{
		packages: []string{"log"},
		never:    []string{module + "verifier/...", module + "witness/...", module + "api/...", "net/http"},
		direct:   true,
		why:      "the log does not speak HTTP, handlers do; and it does not judge itself",
	},
	{
		packages: []string{"api/server", "api/client"},
		never:    []string{module + "log", module + "log/store/...", module + "verifier/..."},
		why:      "the edge carries bytes: it decides nothing and trusts nobody",
	},
	{
		packages: []string{"api/credential"},
		never:    []string{"net", "net/http", module + "log", module + "log/answer", module + "api/server", module + "api/client"},
		why:      "both sides of the edge and the command hold tokens; who checks one needs a file and a hash",
	},
	{
		packages: []string{"log", "log/store", "log/answer", "api/server", "api/client", "verifier/statefile", "cmd/muster"},
		never:    []string{"github.com/cockroachdb/..."},
		direct:   true,
		why:      "engines change; only packages below log/store know one",
	},
	{
		packages: []string{"witness"},
		never: []string{
			"github.com/cockroachdb/...", "google.golang.org/protobuf/...", "connectrpc.com/...", "github.com/spf13/...",
			module + "log", module + "log/store/...", module + "verifier/...", module + "api/...",
		},
		why: "others run a witness: its state is a few files, and it judges a log by its checkpoints alone",
	},
	{
		packages: []string{"witness/monitor", "witness/follow"},
		never:    []string{module + "log", module + "log/store/...", "github.com/cockroachdb/..."},
		why:      "an owner's monitor carries no server and no engine",
	},
	{
		packages: []string{"witness/auditor"},
		never:    []string{module + "log", module + "verifier/...", module + "api/server", "github.com/cockroachdb/..."},
		direct:   true,
		why:      "an auditor judges leaves by its own replay; it borrows the log's formats and engine, nothing of its opinion",
	},
	{
		packages: []string{"log/fsck"},
		never:    []string{module + "log", module + "verifier/...", module + "api/...", module + "witness/...", "github.com/cockroachdb/..."},
		direct:   true,
		why:      "what checks a store must not compute it by the code that wrote it",
	},
	{
		packages: []string{"..."},
		except:   []string{"cmd/muster"},
		never:    []string{module + "cmd/..."},
		direct:   true,
		why:      "nobody imports a command; its own parts belong to it",
	},
	{
		packages: []string{"..."},
		never:    []string{module + "log/durable/durabletest"},
		direct:   true,
		why:      "a disk in memory loses more than its power; it belongs to tests",
	},
	{
		packages: []string{"..."},
		except:   []string{"cmd/muster/demo"},
		never:    []string{module + "log/liar"},
		direct:   true,
		why:      "a log that lies belongs to tests, to testdata/make, which ./... leaves out, and to the demo, whose lies are its business",
	},
}

type pkg struct {
	ImportPath    string
	Imports, Deps []string
}

func TestImportsRunOneWay(t *testing.T) {
	packages := list(t)
	for _, r := range rules {
		matched := 0
		for _, p := range packages {
			path := strings.TrimPrefix(p.ImportPath, module)
			if !slices.ContainsFunc(r.packages, func(want string) bool { return matches(path, want) }) || slices.Contains(r.except, path) {
				continue
			}
			matched++
			reached := p.Deps
			if r.direct {
				reached = p.Imports
			}
			for _, dep := range reached {
				if slices.ContainsFunc(r.never, func(never string) bool { return matches(dep, never) }) {
					t.Errorf("%s must not import %s: %s", path, dep, r.why)
				}
			}
		}
		if matched < len(r.packages) {
			t.Errorf("a rule for %v matches only %d packages: did one move?", r.packages, matched)
		}
	}
}

func matches(path, pattern string) bool {
	if pattern == "..." {
		return true
	}
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == prefix || strings.HasPrefix(path, prefix+"/")
	}
	return path == pattern
}

func list(t *testing.T) []pkg {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// Versions below these have a fault that reaches us.
var floors = []struct{ module, version, why string }{
	{"golang.org/x/mod", "v0.42.0", "sumdb/tlog did not authenticate every tile (CVE-2026-56865), and our tests judge by it"},
}

func TestModulesAreNotBelowTheirFloor(t *testing.T) {
	for _, f := range floors {
		out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", f.module).Output()
		if err != nil {
			t.Fatalf("go list -m %s: %v", f.module, err)
		}
		if v := strings.TrimSpace(string(out)); semver.Compare(v, f.version) < 0 {
			t.Errorf("%s is at %s, want %s or later: %s", f.module, v, f.version, f.why)
		}
	}
}
