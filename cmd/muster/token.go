package main

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/api/credential"
	"github.com/musterlog/muster/log/durable"
)

type tokenFlags struct{ dir, scope, name, out string }

func tokenCommand(g *globals) *cobra.Command {
	c := groupCommand("token", "Who may do what at a log", "add, list or revoke")
	c.Long = `Once a log has credentials, it asks everybody for a token who submits events or
looks accounts up; checkpoints, tiles and entries stay public. With
"muster serve --entries restricted" entries take a token too, for which audit is
enough. read may look accounts up, write may also submit what owners signed, operator may also remove
devices and erase accounts. A running server heeds every change at once.`
	f := new(tokenFlags)
	add := &cobra.Command{
		Use: "add --dir DIR --scope audit|read|write|operator", Short: "Make a token, and show it once", Args: takes(0),
		RunE: func(*cobra.Command, []string) error { return g.tokenAdd(f) },
	}
	add.Flags().StringVar(&f.scope, "scope", "", "what it allows: audit, read, write or operator")
	add.Flags().StringVar(&f.name, "name", "", "`TEXT` that says whose it is, in muster token list")
	add.Flags().StringVar(&f.out, "out", "", "write the token to this new `FILE`, for its owner alone, instead of showing it")
	list := &cobra.Command{
		Use: "list --dir DIR", Short: "Show the credentials, without their tokens", Args: takes(0),
		RunE: func(*cobra.Command, []string) error { return g.tokenList(f) },
	}
	list.Flags().StringVar(&f.scope, "scope", "", "only those of this scope")
	revoke := &cobra.Command{
		Use: "revoke --dir DIR ID", Short: "Refuse a token from now on", Args: takes(1),
		RunE: func(_ *cobra.Command, args []string) error { return g.tokenRevoke(f, args[0]) },
	}
	for _, sub := range []*cobra.Command{add, list, revoke} {
		sub.Flags().StringVar(&f.dir, "dir", "", "`DIR` of the log")
	}
	c.AddCommand(add, list, revoke)
	return c
}

// credentials is the file's path, in a folder that has a log.
func (f *tokenFlags) credentials() (string, error) {
	if f.dir == "" {
		return "", usage("token needs --dir DIR, the log's folder")
	}
	d := logDir(f.dir)
	if ok, err := d.exists(); err != nil || !ok {
		return "", errors.Join(err, fmt.Errorf("%s has no log: `muster init` makes one", f.dir))
	}
	return d.credentials(), nil
}

func (g *globals) tokenAdd(f *tokenFlags) error {
	scope, err := credential.ParseScope(f.scope)
	if err != nil {
		return usage("--scope: %w", err)
	}
	path, err := f.credentials()
	if err != nil {
		return err
	}
	_, err = credential.List(path)
	first := errors.Is(err, fs.ErrNotExist)
	t, c, err := credential.Add(path, scope, f.name, time.Now())
	if err != nil {
		return err
	}
	where := "put it into a file of mode 0600 and pass --token FILE"
	if f.out != "" {
		where = "pass --token " + f.out
		if err := durable.Create(f.out, []byte(t.Reveal()+"\n"), 0o600); err != nil {
			_, undone := credential.Revoke(path, c.ID())
			return errors.Join(fmt.Errorf("writing the token: %w", err), undone)
		}
	} else if err := g.showToken(t, &c); err != nil {
		return err
	}
	g.say("credential %s may %s; its token is not kept here: %s", c.ID(), allows(scope), where)
	if first {
		g.say("this is the first: from now on the log asks everybody for a token")
	}
	return nil
}

func (g *globals) showToken(t credential.Token, c *credential.Credential) error {
	if !g.json {
		g.print("%s\n", t.Reveal())
		return nil
	}
	return g.printJSON(struct {
		credentialJSON
		Token string `json:"token"`
	}{newCredentialJSON(c), t.Reveal()})
}

func allows(s credential.Scope) string {
	switch s {
	case credential.Audit:
		return "read entries, also restricted ones, and no account"
	case credential.Read:
		return "look accounts up"
	case credential.Write:
		return "look accounts up and submit signed events"
	}
	return "do everything, also remove devices and erase accounts"
}

type credentialJSON struct {
	ID    string `json:"id"`
	Scope string `json:"scope"`
	Added string `json:"added"`
	Name  string `json:"name"`
}

func newCredentialJSON(c *credential.Credential) credentialJSON {
	return credentialJSON{c.ID(), c.Scope.String(), c.Added.UTC().Format(time.RFC3339), c.Name}
}

func (g *globals) tokenList(f *tokenFlags) error {
	if f.scope != "" {
		if _, err := credential.ParseScope(f.scope); err != nil {
			return usage("--scope: %w", err)
		}
	}
	path, err := f.credentials()
	if err != nil {
		return err
	}
	all, err := credential.List(path)
	if errors.Is(err, fs.ErrNotExist) {
		g.say("no credentials: everybody who reaches the log may do everything, so it serves on loopback only")
		err = nil
	}
	if err != nil {
		return err
	}
	shown := []credentialJSON{}
	for i := range all {
		if f.scope == "" || all[i].Scope.String() == f.scope {
			shown = append(shown, newCredentialJSON(&all[i]))
		}
	}
	if g.json {
		return g.printJSON(shown)
	}
	for _, c := range shown {
		g.print("%s  %-8s  %s  %s\n", c.ID, c.Scope, c.Added, c.Name)
	}
	return nil
}

func (g *globals) tokenRevoke(f *tokenFlags, id string) error {
	path, err := f.credentials()
	if err != nil {
		return err
	}
	c, err := credential.Revoke(path, id)
	if err != nil {
		return err
	}
	g.say("credential %s (%s) may do nothing any more", c.ID(), c.Scope)
	return nil
}
