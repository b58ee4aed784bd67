package main

import (
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// The targets are where they were, every mutant is Go, and the list of survivors
// explains none that is not there any more.
func TestMutants(t *testing.T) {
	t.Chdir("../../..")
	var ids []string
	for _, target := range targets {
		all, err := target.mutants()
		if err != nil {
			t.Fatal(err)
		}
		if len(all) < 10 {
			t.Errorf("%s: %d mutants: did its files move?", target.dir, len(all))
		}
		for _, m := range all {
			source, err := switched(m.file, []*mutant{m})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parser.ParseFile(token.NewFileSet(), m.file, source, parser.SkipObjectResolution); err != nil {
				t.Errorf("%v: %v", m, err)
			}
			if slices.Contains(ids, m.id()) {
				t.Errorf("%v: two mutants have one name", m)
			}
			ids = append(ids, m.id())
		}
	}
	explained, err := readSurvivors("testdata/torture/mutants/survivors.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range explained {
		if !slices.Contains(ids, id) {
			t.Errorf("no mutant is named %q: take it out of the list", id)
		}
	}
}

// A mutant that lacks a check of a leaf's form is noticed by a test in which the check
// refuses something, and what is whole is not.
func TestKill(t *testing.T) {
	t.Chdir("../../..")
	target := target{dir: "log/leaf"}
	all, err := target.mutants()
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSchema(all)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := s.record(all, true); err != nil {
		t.Fatal(err)
	}
	if by := s.kill(all[0]); !strings.HasPrefix(by, "Test") {
		t.Errorf("%v is noticed by %q", all[0], by)
	}
	for _, one := range s.tests["./log/leaf"] {
		if out, err := s.run(one, 0, patience); err != nil {
			t.Errorf("%s notices what is whole: %v\n%s", one.name, err, out)
		}
	}
}
