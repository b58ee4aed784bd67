package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/verifier/statefile"
	"github.com/musterlog/muster/witness/monitor"
)

// day is a normal one: an honest log and people who use it.
type day struct {
	*town
	alice, bob *person
	monitor    *monitor.Monitor
	alerts     bytes.Buffer
	code       string // between the two, as first compared
	tell       func(Step)
}

// normalDay shows what an honest log is for.
func normalDay(ctx context.Context, dir string, tell func(Step)) error {
	d := &day{tell: tell}
	stop, err := d.open(ctx, dir)
	if err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{
		d.register, d.link, d.firstLook, d.unlink, d.unchanged, d.reregister, d.changed, d.told,
	} {
		if err := step(ctx); err != nil {
			stop()
			return err
		}
	}
	return stop()
}

func (d *day) open(ctx context.Context, dir string) (stop func() error, err error) {
	if d.town, err = openTown(ctx, dir); err != nil {
		return nil, err
	}
	if d.alice, err = d.person(alice); err == nil {
		d.bob, err = d.person(bob)
	}
	if err == nil {
		err = d.openMonitor(dir)
	}
	if err != nil {
		d.town.stop()
		return nil, err
	}
	return func() error {
		d.monitor.Close()
		return d.town.stop()
	}, nil
}

func (d *day) openMonitor(dir string) error {
	states, err := statefile.Open(filepath.Join(dir, "monitor-state"))
	if err != nil {
		return err
	}
	d.monitor, err = monitor.New(monitor.Config{
		Verifier: d.alice.app.Verifier, Store: states, Source: d.alice.log, Accounts: []name.Identifier{alice},
		Dir: filepath.Join(dir, "monitor"), Out: &d.alerts, Now: time.Now, Logger: quiet,
	})
	return err
}

func (d *day) say(shown string, did string, args ...any) {
	d.tell(Step{Did: fmt.Sprintf(did, args...), Shown: shown})
}

// does has somebody's phone sign an event, and the log take it.
func (d *day) does(ctx context.Context, who *person, event func(*liar.Phone) []byte) (uint64, error) {
	o, err := who.send(ctx, event(who.phone))
	return o.Position, err
}

func (d *day) register(ctx context.Context) error {
	var positions []uint64
	for _, who := range []*person{d.alice, d.bob} {
		p, err := d.does(ctx, who, (*liar.Phone).Register)
		if err != nil {
			return err
		}
		positions = append(positions, p)
	}
	d.say(fmt.Sprintf("logged at positions %d and %d, under a checkpoint that witnesses and auditor cosigned", positions[0], positions[1]),
		"Alice and Bob register. Each phone makes a primary key, and signs with it that the account is its own.")
	return nil
}

func (d *day) link(ctx context.Context) error {
	if _, err := d.does(ctx, d.alice, (*liar.Phone).Add); err != nil {
		return err
	}
	d.say("both signatures are checked by everybody who is ever told of the laptop",
		"Alice links her laptop: her phone signs the laptop's key, and the laptop signs back.")
	return nil
}

func (d *day) firstLook(ctx context.Context) (err error) {
	r, err := d.bob.look(ctx, d.alice)
	if err != nil {
		return err
	}
	if d.code, err = d.bob.code(ctx, d.alice); err != nil {
		return err
	}
	f := r.Accounts[0]
	d.say(fmt.Sprintf("%s; %s; cosigned by %s. Code: %s", devices(&f), r.Trust, strings.Join(r.Cosigners, ", "), firstGroups(d.code)),
		"Bob's app asks for Alice's devices, and verifies the answer. The two compare the security code once.")
	return nil
}

func devices(f *verifier.Found) string {
	if n := len(f.Devices); n != 1 {
		return fmt.Sprintf("the phone and %d devices", n)
	}
	return "the phone and 1 device"
}

func firstGroups(code string) string {
	groups := strings.Fields(code)
	return strings.Join(groups[:min(4, len(groups))], " ") + " …"
}

func (d *day) unlink(ctx context.Context) error {
	if _, err := d.does(ctx, d.alice, (*liar.Phone).Add); err != nil {
		return err
	}
	if _, err := d.does(ctx, d.alice, removeFirst); err != nil {
		return err
	}
	r, err := d.bob.look(ctx, d.alice)
	if err != nil {
		return err
	}
	d.say(fmt.Sprintf("for Bob's app the account is %q: %s, no notice needed", r.Accounts[0].Status, devices(&r.Accounts[0])),
		"Alice links a tablet, and unlinks the laptop.")
	return nil
}

func (d *day) unchanged(ctx context.Context) error {
	code, err := d.bob.code(ctx, d.alice)
	if err != nil {
		return err
	}
	if code != d.code {
		return fmt.Errorf("the security code changed with a device: %s", code)
	}
	d.say("unchanged: "+firstGroups(code)+" It depends on the primary keys alone.", "They look at the security code again.")
	return nil
}

func (d *day) reregister(ctx context.Context) error {
	p, err := d.does(ctx, d.alice, func(p *liar.Phone) []byte { return p.Reregister(false) })
	if err != nil {
		return err
	}
	d.say(fmt.Sprintf("logged at position %d as generation 1, not endorsed by the key before: nobody can do this quietly", p),
		"Alice loses her phone and registers anew. Her old key is gone, so it cannot sign that.")
	return nil
}

func (d *day) changed(ctx context.Context) error {
	r, err := d.bob.look(ctx, d.alice)
	if err != nil {
		return err
	}
	code, err := d.bob.code(ctx, d.alice)
	if err != nil {
		return err
	}
	f := &r.Accounts[0]
	if code == d.code || f.Status != verifier.Reregistered {
		return fmt.Errorf("a re-registration left Bob's app with status %q and code %s", f.Status, code)
	}
	d.say(fmt.Sprintf("%s, not endorsed: the security code changed to %s; compare it again", f.Status, firstGroups(code)), "Bob's app asks again.")
	return nil
}

// told shows what the monitor has printed for the owner.
func (d *day) told(ctx context.Context) error {
	if _, err := d.monitor.Pass(ctx); err != nil {
		return err
	}
	var kinds []string
	for lines := bufio.NewScanner(&d.alerts); lines.Scan(); {
		var a monitor.Alert
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			return err
		}
		kinds = append(kinds, string(a.Kind))
	}
	d.say(strings.Join(kinds, ", "), "Alice's monitor, which reads the log by itself, tells her all that happened to her account. Whatever she did not do would be an alarm.")
	return nil
}
