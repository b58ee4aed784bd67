package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/api/credential"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/verifier/statefile"
)

const defaultLog = "http://127.0.0.1:8650"

// globals are the flags that every command has, each also read from the
// environment, and what is built from them.
type globals struct {
	*terminal
	started bool    // flags and arguments were understood
	opened  *reader // with which the command verifies; nil: it asks no log

	log, policy, state string
	token              string // the path of its file
	json               bool
}

func (g *globals) addFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&g.log, "log", os.Getenv("MUSTER_LOG"), "base `URL` of the log [MUSTER_LOG]; default: the policy's, else "+defaultLog)
	f.StringVar(&g.policy, "policy", os.Getenv("MUSTER_POLICY"), "trust policy `FILE` (C2SP tlog-policy) [MUSTER_POLICY]; required to verify")
	f.StringVar(&g.state, "state", os.Getenv("MUSTER_STATE"), "`DIR` of what this client has verified before [MUSTER_STATE]; default "+filepath.Join("$XDG_STATE_HOME", "muster"))
	f.StringVar(&g.token, "token", os.Getenv("MUSTER_TOKEN"), "`FILE` of the token that the log asks for [MUSTER_TOKEN]")
	f.BoolVar(&g.json, "json", false, "print JSON for scripts")
}

// stateDir is where this client remembers, by the XDG base directory rules.
func (g *globals) stateDir() (string, error) {
	if g.state != "" {
		return g.state, nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "muster"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no place for the client's state: %w: pass --state DIR", err)
	}
	return filepath.Join(home, ".local", "state", "muster"), nil
}

func (g *globals) loadPolicy() (*checkpoint.Policy, error) {
	if g.policy == "" {
		return nil, usage("no trust policy: pass --policy FILE or set MUSTER_POLICY (`muster init` leaves one in its folder; the log's operator publishes another)")
	}
	data, err := os.ReadFile(g.policy)
	if err != nil {
		return nil, fmt.Errorf("reading the trust policy: %w", err)
	}
	policy, err := checkpoint.ParsePolicy(data)
	if err != nil {
		return nil, fmt.Errorf("trust policy %s: %w", g.policy, err)
	}
	return policy, nil
}

// policyIfNamed is nil where nothing needs a policy and none is named.
func (g *globals) policyIfNamed() (*checkpoint.Policy, error) {
	if g.policy == "" {
		return nil, nil
	}
	return g.loadPolicy()
}

// unverified is the log's API for who verifies nothing that it says.
func (g *globals) unverified() (*client.Client, error) {
	if g.log != "" {
		return g.source(nil)
	}
	policy, err := g.policyIfNamed()
	if err != nil {
		return nil, err
	}
	return g.source(policy)
}

// source is the log's API; the policy, if there is one, may say where it is.
func (g *globals) source(policy *checkpoint.Policy) (*client.Client, error) {
	url := g.log
	if url == "" && policy != nil {
		url = policy.LogURL
	}
	if url == "" {
		url = defaultLog
	}
	return newClient(url, g.token)
}

// newClient asks one log, and shows it the token of a file, if one is named.
func newClient(url, token string) (*client.Client, error) {
	cfg := client.Config{URL: url, UserAgent: "muster/" + version()}
	if token != "" {
		t, err := credential.ReadToken(token)
		if err != nil {
			return nil, err
		}
		cfg.Token = t
	}
	c, err := client.New(cfg)
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// reader is the verifying client that every reading command uses.
type reader struct {
	*verifier.Client
	policy *checkpoint.Policy
	source *client.Client
}

func (g *globals) reader() (*reader, error) {
	policy, err := g.loadPolicy()
	if err != nil {
		return nil, err
	}
	source, err := g.source(policy)
	if err != nil {
		return nil, err
	}
	dir, err := g.stateDir()
	if err != nil {
		return nil, err
	}
	states, err := statefile.Open(dir)
	if err != nil {
		return nil, err
	}
	g.opened = &reader{
		Client: &verifier.Client{
			Verifier: &verifier.Verifier{Policy: policy},
			Store:    states, Source: source, Now: time.Now,
		},
		policy: policy, source: source,
	}
	return g.opened, nil
}

// identifiers reads account names from the command line.
func identifiers(args []string) ([]name.Identifier, error) {
	ids := make([]name.Identifier, len(args))
	for i, arg := range args {
		id, err := name.ParseIdentifier(arg)
		if err != nil {
			return nil, usageError{err}
		}
		ids[i] = id
	}
	return ids, nil
}
