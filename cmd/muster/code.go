package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/verifier/code"
)

type codeJSON struct {
	Code     string   `json:"code"`
	Extended string   `json:"extended"`
	Between  []string `json:"between"`
	QR       string   `json:"qr"`
}

func codeCommand(g *globals) *cobra.Command {
	var extended, qr bool
	c := &cobra.Command{
		Use:   "code ID ID",
		Short: "Show the security code between two accounts, from verified keys",
		Long: `Shows the security code that two people compare once: 60 digits over both
primary keys. It changes exactly when one of them re-registers. The extended
code covers every device and changes with each. The digits cannot show a hidden
removal or a split view; the QR payload, which the first account shows to the
second, can.`,
		Args: takes(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := identifiers(args)
			if err != nil {
				return err
			}
			if ids[0] == ids[1] {
				return usage("a security code is between two accounts: %s was given twice", ids[0])
			}
			r, err := g.reader()
			if err != nil {
				return err
			}
			result, err := r.Lookup(cmd.Context(), verifier.Question{Account: ids[0].AccountID()}, verifier.Question{Account: ids[1].AccountID()})
			if err != nil {
				return err
			}
			for i, f := range result.Accounts {
				if f.Primary.IsZero() {
					return fmt.Errorf("no code: %s is %s", ids[i], headline(&f))
				}
			}
			if err := g.printCode(r.policy, ids, result, extended, qr); err != nil || g.json {
				return err
			}
			g.say("%s", vouch(result, time.Now()))
			return nil
		},
	}
	c.Flags().BoolVar(&extended, "extended", false, "the code over every device's key")
	c.Flags().BoolVar(&qr, "qr", false, "the payload of the QR code that the first account shows to the second")
	c.MarkFlagsMutuallyExclusive("extended", "qr")
	return c
}

func (g *globals) printCode(policy *checkpoint.Policy, ids []name.Identifier, r *verifier.Result, extended, qr bool) error {
	sides := make([]code.Side, 2)
	for i, f := range r.Accounts {
		sides[i] = code.Side{Identifier: ids[i], Primary: f.Primary, Devices: f.Devices}
	}
	payload, err := qrPayload(policy.Log, r)
	if err != nil {
		return err
	}
	out := codeJSON{
		Code:     code.Code(sides[0], sides[1]),
		Extended: code.Extended(sides[0], sides[1]),
		Between:  []string{string(ids[0]), string(ids[1])},
		QR:       payload,
	}
	switch {
	case g.json:
		return g.printJSON(out)
	case qr:
		g.print("%s\n", out.QR)
	case extended:
		g.print("%s\n", code.Group(out.Extended))
	default:
		g.print("%s\n", code.Group(out.Code))
	}
	return nil
}

// qrPayload is what the first account of a result shows to the second: both
// heads as verified here, and the checkpoint with the log's signature.
func qrPayload(log checkpoint.Key, r *verifier.Result) (string, error) {
	note, err := checkpoint.Parse(r.Note)
	if err != nil {
		return "", err
	}
	q := code.QR{Log: note.Origin.LogID(), Size: note.Size, Root: note.Root}
	for _, l := range note.Lines {
		if l.Name == log.Name && l.ID == log.ID {
			copy(q.Signature[:], l.Signature)
		}
	}
	for i, side := range []*code.QRSide{&q.Mine, &q.Yours} {
		f := &r.Accounts[i]
		*side = code.QRSide{
			Account: f.ID, Generation: f.Generation, Seq: f.Seq, Event: f.Event,
			Devices: event.DevicesHash(q.Log, f.ID, f.Generation, f.Primary, f.Devices),
		}
	}
	return q.String(), nil
}
