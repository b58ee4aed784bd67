package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/durable"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/witness/follow"
)

// convictTime bounds how long a command that has failed stays to look for
// evidence in the log's tiles.
const convictTime = 30 * time.Second

// convict keeps what a failed check proves, in STATE/evidence, and prints
// where. It asks the log for the tree that it signed, which a liar may refuse:
// then both signed checkpoints are kept.
func (g *globals) convict(ctx context.Context, r *reader, f *verifier.Failure) {
	ctx, done := context.WithTimeout(ctx, convictTime)
	defer done()
	file, why := follow.Investigate(ctx, r.source, r.policy.Log, f)
	if file != nil {
		g.keepEvidence(r.policy, file)
		return
	}
	if len(f.Notes) < 2 || errors.Is(why, verifier.ErrNoFork) {
		return
	}
	for _, note := range f.Notes {
		sum := sha256.Sum256(note)
		g.keep(hex.EncodeToString(sum[:])+".note", note, "a checkpoint that the log signed")
	}
	g.say("no evidence yet: %v. Publish both checkpoints, and run this again: if one does not extend the other, they convict the log", why)
}

// keepEvidence keeps the file against the log, and one against each cosigner
// of the policy that broke its word: no cosigner signs two histories, and no
// auditor a tree with a fault in it. A witness sees no leaves, and answers for
// none.
func (g *globals) keepEvidence(policy *checkpoint.Policy, f *evidence.File) {
	var m *evidence.Misbehaviour
	if errors.As(evidence.Convict(policy.Log, f), &m) {
		g.keep(m.File.Name(), m.File.Bytes(), "evidence: "+m.Verdict.Statement)
		if f.Kind == evidence.E6 {
			g.say("this file shows whose account it is, and what happened to it: ask its owner before you publish it")
		}
	}
	auditors := policy.Auditors()
	for _, w := range policy.Witnesses {
		if f.Kind != evidence.E1 && f.Kind != evidence.E2 && !slices.Contains(auditors, w.Name) {
			continue
		}
		if errors.As(evidence.Convict(w.Key, f.OfCosigner()), &m) {
			g.keep(m.File.Name(), m.File.Bytes(), "evidence: "+m.Verdict.Statement)
		}
	}
}

func (g *globals) keep(file string, data []byte, what string) {
	path, err := g.evidencePath(file)
	if err == nil {
		err = durable.Keep(path, data)
	}
	if err != nil {
		g.say("could not keep %s: %v: make room or another --state, and run this again", what, err)
		return
	}
	g.say("%s\nmuster: kept in %s", what, path)
}

func (g *globals) evidencePath(file string) (string, error) {
	dir, err := g.stateDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "evidence")
	if err := durable.MakeFolder(dir); err != nil {
		return "", fmt.Errorf("making the folder of evidence: %w", err)
	}
	return filepath.Join(dir, file), nil
}
