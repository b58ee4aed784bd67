package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// changed follows a commit's id where the tree is not what was committed: such results
// are a trial, and none goes on from them.
const changed = " with changes"

// survivors explains mutants.
const survivors = "testdata/torture/mutants/survivors.txt"

// tree is what is committed.
type tree struct {
	root   string            // the repository's folder
	commit string            // the last one that changed more than documents
	blobs  map[string]string // git's hash of each file, by its path from root

	known map[string][]string // sources of packages, which many parts share
}

// readTree is that of the folder that the command runs in, which is the root.
func readTree() (*tree, error) {
	t := &tree{blobs: map[string]string{}, known: map[string][]string{}}
	code := []string{"--", ".", ":(exclude)docs", ":(exclude)*.md"}
	root, err := git("rev-parse", "--show-toplevel")
	if err != nil {
		return nil, fmt.Errorf("%w: run it in the repository's folder", err)
	}
	commit, err1 := git(append([]string{"log", "-1", "--format=%H"}, code...)...)
	status, err2 := git(append([]string{"status", "--porcelain"}, code...)...)
	files, err3 := git("ls-tree", "-r", "HEAD")
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	t.root, t.commit = strings.TrimSpace(root), strings.TrimSpace(commit)
	if status != "" {
		t.commit += changed
	}
	for line := range strings.Lines(files) {
		about, path, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		t.blobs[path] = about
	}
	return t, nil
}

func git(args ...string) (string, error) {
	out, err := exec.Command("git", args...).Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return string(out), nil
}

// code names everything committed that decides what a part does: the packages whose tests
// it runs, the program that they start, what these import, and the data that they read. A
// part's result holds for as long as that stays the same, whatever else is committed.
func (t *tree) code(p *part) (string, error) {
	paths := []string{"go.mod", "go.sum"}
	for _, pkg := range p.packages() {
		more, err := t.sources(pkg, true)
		if err != nil {
			return "", err
		}
		paths = append(paths, more...)
	}
	if p.starts {
		more, err := t.sources("./cmd/muster", false)
		if err != nil {
			return "", err
		}
		paths = append(paths, more...)
	}
	if p.mutants != "" {
		paths = append(paths, survivors)
	}
	for path := range t.blobs {
		if strings.HasPrefix(path, "testdata/vectors/") || strings.HasPrefix(path, "testdata/evidence/") {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version())
	for _, path := range slices.Compact(paths) {
		fmt.Fprintln(h, t.blobs[path], path)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:16]), nil
}

// sources are the files of a package and of all that it imports, with the package's tests
// and their data if these count.
func (t *tree) sources(pkg string, tests bool) (paths []string, err error) {
	key := fmt.Sprint(pkg, tests)
	if known, ok := t.known[key]; ok {
		return known, nil
	}
	defer func() {
		if err == nil {
			t.known[key] = paths
		}
	}()
	cmd := exec.Command("go", "list", "-deps", fmt.Sprintf("-test=%t", tests), "-json=Dir,Standard,GoFiles,EmbedFiles,TestGoFiles,TestEmbedFiles,XTestGoFiles,XTestEmbedFiles", ".")
	cmd.Dir = pkg // which says which module it belongs to
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list in %s: %w", pkg, err)
	}
	own := filepath.Join(t.root, pkg)
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Dir                           string
			Standard                      bool
			GoFiles, EmbedFiles           []string
			TestGoFiles, TestEmbedFiles   []string
			XTestGoFiles, XTestEmbedFiles []string
		}
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list in %s: %w", pkg, err)
		}
		dir, err := filepath.Rel(t.root, p.Dir)
		if err != nil || p.Standard || strings.HasPrefix(dir, "..") {
			continue // go.sum and the toolchain's version say what these are
		}
		files := slices.Concat(p.GoFiles, p.EmbedFiles)
		if tests && p.Dir == own {
			files = slices.Concat(files, p.TestGoFiles, p.TestEmbedFiles, p.XTestGoFiles, p.XTestEmbedFiles)
		}
		for _, file := range files {
			if !filepath.IsAbs(file) { // as the main function is that go test makes
				paths = append(paths, filepath.Join(dir, file))
			}
		}
	}
	for path := range t.blobs {
		if tests && strings.HasPrefix(path, filepath.Join(pkg, "testdata")+"/") {
			paths = append(paths, path)
		}
	}
	return paths, nil
}
