package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
)

type evidenceJSON struct {
	Proves    bool   `json:"proves"`
	Kind      string `json:"kind"`
	Origin    string `json:"origin"`
	Role      string `json:"role,omitempty"`
	Party     string `json:"party,omitempty"`
	VKey      string `json:"vkey"`
	Statement string `json:"statement,omitempty"`
	How       string `json:"how,omitempty"`
	NotShown  string `json:"not_shown,omitempty"`
	Reason    string `json:"reason,omitempty"` // why it proves nothing
}

func evidenceCommand(g *globals) *cobra.Command {
	c := groupCommand("evidence", "Judge evidence of misbehaviour", "verify")
	c.AddCommand(evidenceVerifyCommand(g))
	return c
}

func evidenceVerifyCommand(g *globals) *cobra.Command {
	var vkey string
	c := &cobra.Command{
		Use:   "verify FILE --vkey VKEY",
		Short: "Say what an evidence file proves, and against whom, offline",
		Long: `Verifies an evidence file with the public key of the party that it accuses and
nothing else: no network, no policy, no trust in whoever made it. The key is the
log's vkey for kinds E1 to E7, a cosigner's for kinds W and A. Take it from
where you always had it, such as your policy: not from whoever gave you the file.

Exit code 0 says that the file proves misbehaviour, 3 that it proves nothing.`,
		Args: takes(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if vkey == "" {
				return usage("whom does it accuse? pass --vkey VKEY, the public key of the log or of the cosigner (policies list them)")
			}
			key, err := checkpoint.ParseKey(vkey)
			if err != nil {
				return usageError{err}
			}
			data, err := readEvidence(args[0])
			if err != nil {
				return err
			}
			f, err := evidence.Parse(data)
			if err != nil {
				return g.provesNothing(args[0], new(evidence.File), key, err)
			}
			verdict, err := f.Verify(key)
			if err != nil {
				return g.provesNothing(args[0], f, key, err)
			}
			return g.printVerdict(f, verdict)
		},
	}
	c.Flags().StringVar(&vkey, "vkey", "", "`VKEY` of the accused log or cosigner")
	return c
}

// readEvidence reads no more than a file may have: a larger one is refused
// without being held in memory.
func readEvidence(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading evidence: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, evidence.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading evidence: %w", err)
	}
	return data, nil
}

// noEvidence is a file that proves nothing against the key.
type noEvidence struct{ error }

func (g *globals) provesNothing(path string, f *evidence.File, key checkpoint.Key, why error) error {
	if g.json {
		if err := g.printJSON(evidenceJSON{Kind: string(f.Kind), Origin: string(f.Origin), VKey: key.String(), Reason: why.Error()}); err != nil {
			return err
		}
	}
	return noEvidence{fmt.Errorf("%s: %w", path, why)}
}

func (g *globals) printVerdict(f *evidence.File, v *evidence.Verdict) error {
	if g.json {
		return g.printJSON(evidenceJSON{
			Proves: true, Kind: string(f.Kind), Origin: string(f.Origin), Role: v.Role, Party: v.Party.Name, VKey: v.Party.String(),
			Statement: v.Statement, How: v.How, NotShown: v.NotShown,
		})
	}
	g.print("MISBEHAVIOUR (%s)\n", f.Kind)
	g.print("what       %s\n", v.Statement)
	g.print("by whom    %s %s, key %s\n", v.Role, v.Party.Name, v.Party)
	g.print("how known  %s\n", v.How)
	g.print("not shown  %s\n", v.NotShown)
	return nil
}
