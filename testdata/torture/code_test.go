package main

import "testing"

// A result stands until something is committed that decides what its part does.
func TestCode(t *testing.T) {
	t.Chdir("../..")
	tree, err := readTree()
	if err != nil {
		t.Fatal(err)
	}
	code := func(p *part) string {
		t.Helper()
		code, err := tree.code(p)
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	for _, c := range []struct {
		name, path string
		part       part
		decides    bool
	}{
		{"its package", "log/leaf/leaf.go", part{pkg: "./log/leaf"}, true},
		{"its tests", "log/leaf/leaf_test.go", part{pkg: "./log/leaf"}, true},
		{"what it imports", "log/name/name.go", part{pkg: "./log/leaf"}, true},
		{"a dependency's version", "go.mod", part{pkg: "./log/leaf"}, true},
		{"the vectors", "testdata/vectors/leaves.json", part{pkg: "./log/leaf"}, true},
		{"tests of what it imports", "log/name/name_test.go", part{pkg: "./log/leaf"}, false},
		{"a document", "README.md", part{pkg: "./log/leaf"}, false},
		{"the program", "cmd/muster/main.go", part{pkg: "./log/leaf"}, false},
		{"the program that it starts", "cmd/muster/main.go", part{pkg: "./log/leaf", starts: true}, true},
		{"a module of its own", "testdata/interop/kill_test.go", part{pkg: "./testdata/interop"}, true},
		{"what that imports", "log/name/name.go", part{pkg: "./testdata/interop"}, true},
		{"the explanations of mutants", "testdata/torture/mutants/survivors.txt", part{mutants: "./log/leaf"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			blob, ok := tree.blobs[c.path]
			if !ok {
				t.Fatalf("%s is not in the tree", c.path)
			}
			before := code(&c.part)
			tree.blobs[c.path] = "another"
			after := code(&c.part)
			tree.blobs[c.path] = blob
			if (before != after) != c.decides {
				t.Errorf("another %s: decides %v, want %v", c.path, before != after, c.decides)
			}
		})
	}
}
