package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A tlog-proof is judged by a library that knows nothing of muster: it opens
// the note with the log's key and walks the path from the leaf in "extra".
func TestTLogProofByAnotherLibrary(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	server := mustServe(t, dir, "--init", "--origin", "example.org/log1", "--epoch", "5ms", "--heartbeat", "1h")
	client := clientOf(t, server.url, filepath.Join(dir, "policy"))
	mustMuster(t, client("register", "alice")...)
	for range 9 {
		mustMuster(t, client("confirm", "alice")...)
	}
	vkey, err := os.ReadFile(filepath.Join(dir, "log.vkey"))
	if err != nil {
		t.Fatal(err)
	}
	indexes := map[int64]bool{}
	for seq := range 10 {
		file := filepath.Join(t.TempDir(), "event.tlog-proof")
		mustMuster(t, client("proof", "alice", "--tlog", "--seq", fmt.Sprint(seq), "--out", file)...)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		index, err := judgeTLogProof(strings.TrimSpace(string(vkey)), data)
		if err != nil {
			t.Fatalf("seq %d: %v\n%s", seq, err, data)
		}
		indexes[index] = true
		// One bit of the leaf, of a hash or of the root: no proof any more.
		head, _, _ := bytes.Cut(data, []byte("\n\n"))
		for _, line := range strings.Split(string(head), "\n")[1:] {
			at := bytes.Index(data, []byte(line)) + len(line) - 8
			broken := bytes.Clone(data)
			if broken[at]++; strings.HasPrefix(line, "index") {
				continue
			}
			if _, err := judgeTLogProof(strings.TrimSpace(string(vkey)), broken); err == nil {
				t.Errorf("seq %d: believed with another %q", seq, line)
			}
		}
	}
	if len(indexes) != 10 {
		t.Errorf("10 events at %d positions", len(indexes))
	}
}

// judgeTLogProof follows c2sp.org/tlog-proof and nothing else.
func judgeTLogProof(vkey string, data []byte) (index int64, err error) {
	head, signed, ok := strings.Cut(string(data), "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return 0, fmt.Errorf("no tlog-proof")
	}
	leaf, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Sscanf(lines[2], "index %d", &index); err != nil {
		return 0, err
	}
	var path tlog.RecordProof
	for _, line := range lines[3:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			return 0, err
		}
		path = append(path, h)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return 0, err
	}
	n, err := note.Open([]byte(signed), note.VerifierList(verifier))
	if err != nil {
		return 0, err
	}
	tree, err := tlog.ParseTree([]byte("go.sum database tree\n" + strings.SplitN(n.Text, "\n", 2)[1]))
	if err != nil {
		return 0, err
	}
	return index, tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(leaf))
}
