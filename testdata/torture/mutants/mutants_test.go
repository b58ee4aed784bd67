package main

import (
	"go/parser"
	"go/token"
	"os"
	"slices"
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
			if _, err := parser.ParseFile(token.NewFileSet(), m.file, m.source, parser.SkipObjectResolution); err != nil {
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

// A mutant that lacks a check of a leaf's form is noticed by that package's tests,
// and what is whole is not.
func TestKill(t *testing.T) {
	t.Chdir("../../..")
	target := target{dir: "log/leaf"}
	all, err := target.mutants()
	if err != nil {
		t.Fatal(err)
	}
	mutant := all[0]
	if by, err := mutant.kill(); err != nil || by == "" {
		t.Errorf("%v survives: %v", mutant, err)
	}
	if mutant.source, err = os.ReadFile(mutant.file); err != nil {
		t.Fatal(err)
	}
	if by, err := mutant.kill(); err != nil || by != "" {
		t.Errorf("what is whole is noticed by %q, %v", by, err)
	}
}
