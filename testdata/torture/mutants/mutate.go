package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// mutant is a condition that never holds.
type mutant struct {
	target   *target
	number   int // of its switch
	file     string
	function string
	line     int
	from, to int    // where the condition stands in its file
	check    string // the condition
	nth      int    // of the same condition in the function
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
		add := func(first, last ast.Expr) {
			from, to := fset.Position(first.Pos()).Offset, fset.Position(last.End()).Offset
			text := string(source[from:to])
			seen[text]++
			all = append(all, &mutant{
				target: t, file: path, function: f.Name.Name, line: fset.Position(first.Pos()).Line,
				from: from, to: to, check: strings.Join(strings.Fields(text), " "), nth: seen[text],
			})
		}
		refuse := func(check ast.Expr) {
			// Each of several reasons to refuse is a check of its own, but fields that are
			// read one after the other are one: that they are there.
			reasons := operands(check)
			for i := 0; i < len(reasons); i++ {
				first := i
				for reads(reasons[first]) && i+1 < len(reasons) && reads(reasons[i+1]) {
					i++
				}
				add(reasons[first], reasons[i])
			}
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

// operands are the parts of a || b || c.
func operands(e ast.Expr) []ast.Expr {
	if or, ok := e.(*ast.BinaryExpr); ok && or.Op == token.LOR {
		return append(operands(or.X), operands(or.Y)...)
	}
	return []ast.Expr{e}
}

// reads says whether an expression is that a field could not be read.
func reads(e ast.Expr) bool {
	not, ok := e.(*ast.UnaryExpr)
	if !ok || not.Op != token.NOT {
		return false
	}
	call, ok := not.X.(*ast.CallExpr)
	if !ok {
		return false
	}
	var name string
	switch f := call.Fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
	}
	return strings.HasPrefix(name, "Read") || strings.HasPrefix(name, "read") || strings.HasPrefix(name, "Copy")
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
