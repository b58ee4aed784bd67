package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// mutant is one file in which one condition never holds.
type mutant struct {
	target   *target
	file     string
	function string
	line     int
	check    string // the condition
	nth      int    // of the same condition in the function
	source   []byte
}

func (m *mutant) String() string {
	return fmt.Sprintf("%s:%d %s: %s", m.file, m.line, m.function, m.check)
}

// id names the mutant while lines move.
func (m *mutant) id() string {
	return strings.Join([]string{m.file, m.function, fmt.Sprint(m.nth), m.check}, "\t")
}

// mutants are one for each condition of an if or a case whose body ends in
// refusing: with a return that gives an error, false, or a failure.
func (t *target) mutants() (all []*mutant, err error) {
	files := t.files
	if files == nil {
		found, err := filepath.Glob(filepath.Join(t.dir, "*.go"))
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if !strings.HasSuffix(f, "_test.go") {
				files = append(files, filepath.Base(f))
			}
		}
	}
	for _, f := range files {
		more, err := t.mutate(filepath.Join(t.dir, f))
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

func (t *target) mutate(path string) (all []*mutant, err error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		seen := map[string]int{}
		var refuse func(check ast.Expr)
		refuse = func(check ast.Expr) {
			// Each of several reasons to refuse is a check of its own.
			if or, ok := check.(*ast.BinaryExpr); ok && or.Op == token.LOR {
				refuse(or.X)
				refuse(or.Y)
				return
			}
			from, to := fset.Position(check.Pos()).Offset, fset.Position(check.End()).Offset
			text := string(source[from:to])
			seen[text]++
			all = append(all, &mutant{
				target: t, file: path, function: f.Name.Name, line: fset.Position(check.Pos()).Line, check: strings.Join(strings.Fields(text), " "), nth: seen[text],
				// The condition is still computed, so that everything is used and
				// whatever it does is done.
				source: slices.Concat(source[:from], []byte("(("), source[from:to], []byte(") && len(\"\") > 0)"), source[to:]),
			})
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.IfStmt:
				if refuses(n.Body.List) {
					refuse(n.Cond)
				}
			case *ast.SwitchStmt:
				for _, s := range n.Body.List {
					// With a tag, a case is a value and no condition.
					if c := s.(*ast.CaseClause); n.Tag == nil && len(c.List) == 1 && refuses(c.Body) {
						refuse(c.List[0])
					}
				}
			}
			return true
		})
	}
	return all, nil
}

// refuses says whether a body is nothing but a refusal.
func refuses(body []ast.Stmt) bool {
	if len(body) == 0 {
		return false
	}
	r, ok := body[len(body)-1].(*ast.ReturnStmt)
	if !ok || len(r.Results) == 0 {
		return false
	}
	switch last := r.Results[len(r.Results)-1].(type) {
	case *ast.Ident:
		return strings.HasPrefix(last.Name, "err") || last.Name == "false"
	case *ast.CallExpr, *ast.UnaryExpr:
		return true
	case *ast.CompositeLit:
		return true
	}
	return false
}

// whole says whether the tests pass on what is not mutated: else everything would
// seem to be noticed.
func (t *target) whole() error {
	files := &mutant{target: t, file: filepath.Join(t.dir, "mutant_of_nothing.go"), source: []byte("package " + filepath.Base(t.dir) + "\n")}
	by, err := files.kill()
	if err == nil && by != "" {
		err = fmt.Errorf("the tests of %s fail without a mutant", by)
	}
	return err
}

// kill runs the tests on a mutant, and says whose noticed; "": it survived.
func (m *mutant) kill() (by string, err error) {
	dir, err := os.MkdirTemp("", "muster-mutant-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	path, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: filepath.Join(dir, "mutant.go")}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "mutant.go"), m.source, 0o600); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		return "", err
	}
	for _, pkg := range append([]string{"./" + m.target.dir}, m.target.tests...) {
		binary := filepath.Join(dir, "mutant.test")
		if out, err := exec.Command("go", "test", "-c", "-vet=off", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, pkg).CombinedOutput(); err != nil {
			return "", fmt.Errorf("it does not build: %w\n%s", err, out)
		}
		if noticed(binary, pkg, true) {
			return pkg, nil
		}
		// What the own package's tests find only when they take their time counts.
		if pkg == "./"+m.target.dir && noticed(binary, pkg, false) {
			return pkg, nil
		}
	}
	return "", nil
}

// mutantTime is many times what the slowest package's tests take: a mutant may
// make them run for ever, and that is noticed, too.
const mutantTime = 10 * time.Minute

func noticed(binary, pkg string, short bool) bool {
	cmd := exec.Command(binary, fmt.Sprintf("-test.short=%t", short), "-test.failfast", "-test.timeout", mutantTime.String())
	cmd.Dir = pkg
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	return cmd.Run() != nil
}

// readSurvivors reads the list of mutants that no test can notice: a line of
// reason that begins with #, then lines with the mutants' names.
func readSurvivors(path string) (ids []string, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	reason := false
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "":
			reason = false
		case strings.HasPrefix(line, "#"):
			reason = true
		case !reason:
			return nil, fmt.Errorf("%s: no reason is given for %q", path, line)
		default:
			ids = append(ids, line)
		}
	}
	return ids, nil
}
