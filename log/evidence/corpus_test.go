package evidence_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
)

// corpusFile is one file, whom it accuses, and whether it convicts.
type corpusFile struct {
	Name     string `json:"name"`
	VKey     string `json:"vkey"`
	Convicts bool   `json:"convicts"`
	File     string `json:"file"`
}

// corpus is a file for every row of section 9.3, its honest twin, and forgeries,
// one for each reason by which they are refused. Left out are those of ML-DSA-44 keys, and
// those of over 16 KB.
func corpus() (all []corpusFile) {
	add := func(name string, key checkpoint.Key, f *evidence.File) {
		f = shown(key, f)
		data := f.Bytes()
		if key.Type == checkpoint.MLDSA44 || len(data) > 16<<10 {
			return
		}
		_, err := f.Verify(key)
		all = append(all, corpusFile{name, key.String(), err == nil, string(data)})
	}
	for _, s := range samples() {
		add(s.name, s.key, s.file)
		add(s.name+", of an honest party", s.key, s.honest)
	}
	reasons := map[string]bool{}
	forger := newForger(1)
	for i := range 3000 {
		key, f := forger.forge()
		if err := evidence.Convict(key, f); !reasons[skeleton(err.Error())] {
			reasons[skeleton(err.Error())] = true
			add(fmt.Sprint("forgery ", i), key, f)
		}
	}
	return all
}

// shown is the file as a stranger gets it, with the accused's signatures alone.
func shown(key checkpoint.Key, f *evidence.File) *evidence.File {
	f = clone(f)
	for i, l := range f.Lines {
		note, ok := l.(evidence.Note)
		if !ok {
			continue
		}
		n, err := checkpoint.Parse(note)
		if err != nil {
			continue
		}
		for _, line := range n.Lines {
			if key.Made(line) {
				f.Lines[i] = evidence.Note(checkpoint.Append([]byte(n.Text+"\n"), line))
			}
		}
	}
	return f
}

// TestCorpus: testdata/evidence/corpus.json is what this package makes and how it
// judges, for other verifiers to agree with (testdata/interop). With
// MUSTER_WRITE_VECTORS it is written anew.
func TestCorpus(t *testing.T) {
	path := filepath.Join("..", "..", "testdata", "evidence", "corpus.json")
	all := corpus()
	var out bytes.Buffer
	out.WriteString("[")
	convict := 0
	for i, f := range all {
		if f.Convicts {
			convict++
		}
		line, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s\n %s", map[bool]string{true: ",", false: ""}[i > 0], line)
	}
	out.WriteString("\n]\n")
	if os.Getenv("MUSTER_WRITE_VECTORS") != "" {
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, out.Bytes()) {
		t.Errorf("%s is not what is made: run make vectors and look at the difference", path)
	}
	if t.Logf("%d files, of which %d convict", len(all), convict); convict < 60 || len(all)-convict < 100 {
		t.Error("want more")
	}
}
