package muster_test

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocsNameTests: a page that says which test shows something names one
// that exists.
func TestDocsNameTests(t *testing.T) {
	there := make(map[string]bool)
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := fs.WalkDir(os.DirFS("."), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := os.ReadFile(path)
		for _, m := range function.FindAllSubmatch(data, -1) {
			there[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{"docs/threat-model.md", "testdata/torture/classes.go"} {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`).FindAllString(string(data), -1)
		if len(named) < 20 {
			t.Errorf("%s names %d tests: want the page that names many", page, len(named))
		}
		for _, name := range named {
			if !there[name] {
				t.Errorf("%s names %s, which no file of tests has", page, name)
			}
		}
	}
}
