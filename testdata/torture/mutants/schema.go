package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// schema is the mutated packages with every mutant in them behind a switch, which
// the environment turns: each package's tests are built once, and not once a mutant.
type schema struct {
	dir      string // of what is built
	overlay  string
	binaries map[string]string  // test binary by package
	tests    map[string][]*test // by package
}

// test is one test function and what it does to the checks.
type test struct {
	pkg, name string
	short     bool
	took      time.Duration
	refuses   map[int]bool // checks whose condition held in it: only these mutants can it notice
}

// switchSource is what each mutated package gets. Where a condition holds, the switch
// is asked whether that counts.
const switchSource = `package %s

import (
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
)

var (
	mutantOff, _ = strconv.Atoi(os.Getenv("MUSTER_MUTANT"))
	mutantSeen   = os.Getenv("MUSTER_MUTANTS_SEEN")
	mutantWas    [%d]atomic.Bool
)

func mutantHolds(n int) bool {
	if mutantSeen != "" && !mutantWas[n].Swap(true) {
		f, err := os.OpenFile(mutantSeen, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(f, n)
		f.Close()
	}
	return n != mutantOff
}
`

// newSchema numbers the mutants, from 1 on, and builds the tests that may notice them.
func newSchema(all []*mutant) (*schema, error) {
	dir, err := os.MkdirTemp("", "muster-mutants-")
	if err != nil {
		return nil, err
	}
	s := &schema{dir: dir, overlay: filepath.Join(dir, "overlay.json"), binaries: map[string]string{}, tests: map[string][]*test{}}
	if err := s.write(all); err != nil {
		return nil, err
	}
	for _, m := range all {
		for _, pkg := range m.packages() {
			if s.binaries[pkg] != "" {
				continue
			}
			s.binaries[pkg] = filepath.Join(dir, strings.NewReplacer("/", "_", ".", "_").Replace(pkg)+".test")
			if out, err := exec.Command("go", "test", "-c", "-vet=off", "-overlay", s.overlay, "-o", s.binaries[pkg], pkg).CombinedOutput(); err != nil {
				return nil, fmt.Errorf("the mutants do not build: %w\n%s", err, out)
			}
		}
	}
	return s, nil
}

func (s *schema) close() error { return os.RemoveAll(s.dir) }

// packages are those whose tests must notice a mutant.
func (m *mutant) packages() []string { return append([]string{"./" + m.target.dir}, m.target.tests...) }

// write makes the overlay: each file with all of its switches, and what they ask.
func (s *schema) write(all []*mutant) error {
	replace := map[string]string{}
	add := func(path string, source []byte) error {
		path, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		replace[path] = filepath.Join(s.dir, fmt.Sprint(len(replace), ".go"))
		return os.WriteFile(replace[path], source, 0o600)
	}
	byFile, dirs := map[string][]*mutant{}, map[string]bool{}
	for i, m := range all {
		m.number = i + 1
		byFile[m.file] = append(byFile[m.file], m)
		dirs[m.target.dir] = true
	}
	for file, mutants := range byFile {
		source, err := switched(file, mutants)
		if err == nil {
			err = add(file, source)
		}
		if err != nil {
			return err
		}
	}
	for dir := range dirs {
		if err := add(filepath.Join(dir, "mutant_switch.go"), fmt.Appendf(nil, switchSource, filepath.Base(dir), len(all)+1)); err != nil {
			return err
		}
	}
	data, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return err
	}
	return os.WriteFile(s.overlay, data, 0o600)
}

// switched is a file in which each mutant's condition asks its switch, too. The
// condition is computed first, so that whatever it does is done.
func switched(file string, mutants []*mutant) ([]byte, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	type insertion struct {
		at   int
		text string
	}
	var all []insertion
	for _, m := range mutants {
		all = append(all, insertion{m.from, "(("}, insertion{m.to, fmt.Sprintf(") && mutantHolds(%d))", m.number)})
	}
	slices.SortStableFunc(all, func(a, b insertion) int { return cmp.Compare(a.at, b.at) })
	var out []byte
	from := 0
	for _, i := range all {
		out = append(append(out, source[from:i.at]...), i.text...)
		from = i.at
	}
	return append(out, source[from:]...), nil
}

// record runs each test by itself on what is whole: which checks refuse something in
// it, and how long it takes. Every one has to pass: else all mutants seemed noticed.
// The mutated packages' own tests may take their time, too, unless short.
func (s *schema) record(all []*mutant, short bool) error {
	for pkg := range s.binaries {
		names, err := s.list(pkg)
		if err != nil {
			return err
		}
		own := slices.ContainsFunc(all, func(m *mutant) bool { return m.packages()[0] == pkg })
		for _, name := range names {
			quick := &test{pkg: pkg, name: name, short: true}
			if err := s.recordOne(quick); err != nil {
				return err
			}
			if !own || short {
				continue
			}
			slow := &test{pkg: pkg, name: name}
			if err := s.recordOne(slow); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *schema) list(pkg string) (names []string, err error) {
	cmd := exec.Command(s.binaries[pkg], "-test.list", "^(Test|Fuzz)")
	cmd.Dir = pkg
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("listing the tests of %s: %w", pkg, err)
	}
	return strings.Fields(string(out)), nil
}

func (s *schema) recordOne(t *test) error {
	seen := filepath.Join(s.dir, "seen")
	if err := os.WriteFile(seen, nil, 0o600); err != nil {
		return err
	}
	begun := time.Now()
	if out, err := s.run(t, 0, time.Hour, "MUSTER_MUTANTS_SEEN="+seen); err != nil {
		return fmt.Errorf("%s of %s fails without a mutant: %w\n%s", t.name, t.pkg, err, out)
	}
	t.took = time.Since(begun)
	data, err := os.ReadFile(seen)
	if err != nil {
		return err
	}
	t.refuses = map[int]bool{}
	for _, line := range strings.Fields(string(data)) {
		n, err := strconv.Atoi(line)
		if err != nil {
			return err
		}
		t.refuses[n] = true
	}
	s.tests[t.pkg] = append(s.tests[t.pkg], t)
	return nil
}

// run runs a test with one check switched off; 0: with none.
func (s *schema) run(t *test, mutant int, limit time.Duration, env ...string) ([]byte, error) {
	// A mutant may take memory without end: that ends its process, and is noticed.
	cmd := exec.Command("sh", "-c", `ulimit -d 4194304 && exec "$@"`, "sh",
		s.binaries[t.pkg], "-test.run", "^"+t.name+"$", fmt.Sprintf("-test.short=%t", t.short), "-test.failfast", "-test.timeout", limit.String())
	cmd.Dir = t.pkg
	cmd.Env = append(append(os.Environ(), "MUSTER_MUTANT="+fmt.Sprint(mutant)), env...)
	return cmd.CombinedOutput()
}

// kill runs the tests that can notice a mutant, the quick ones first, and says which
// did; "": it survived.
func (s *schema) kill(m *mutant) (by string) {
	for _, t := range s.able(m) {
		if _, err := s.run(t, m.number, patience+20*t.took); err != nil {
			return t.name
		}
	}
	return ""
}

// able are the tests in which a mutant's check refuses something, by their time.
func (s *schema) able(m *mutant) (able []*test) {
	for _, pkg := range m.packages() {
		for _, t := range s.tests[pkg] {
			if t.refuses[m.number] {
				able = append(able, t)
			}
		}
	}
	slices.SortStableFunc(able, func(a, b *test) int { return cmp.Compare(a.took, b.took) })
	return able
}

// patience is what every test gets beside many times what it took: a mutant may make
// it run for ever, and that is noticed, too.
const patience = time.Minute
