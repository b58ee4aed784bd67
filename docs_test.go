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
		named := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`).FindAllString(read(t, page), -1)
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

// TestReadmeFigures: what the README says of the long campaign stands in its
// results, as kept.
func TestReadmeFigures(t *testing.T) {
	kept := make(map[string]string)
	row := regexp.MustCompile(`(?m)^\| ([^|]+) \| [^|]* \| (\d+) \| kept \|$`)
	for _, m := range row.FindAllStringSubmatch(read(t, "docs/results/reliability.md"), -1) {
		kept[m[1]] = m[2]
	}
	_, section, _ := strings.Cut(read(t, "README.md"), "\n## What it went through\n")
	section, _, _ = strings.Cut(section, "\n## ")
	quoted := regexp.MustCompile(`(?m)^\| ([\d,]+) \| ([^|]+) \| [^|]{20,} \|$`).FindAllStringSubmatch(section, -1)
	if len(quoted) < 8 {
		t.Errorf("the README quotes %d figures, each with what it does not show: want 8 at least", len(quoted))
	}
	for _, m := range quoted {
		if figure := strings.ReplaceAll(m[1], ",", ""); kept[m[2]] != figure {
			t.Errorf("the README says %s of %q, the results %q", m[1], m[2], kept[m[2]])
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
