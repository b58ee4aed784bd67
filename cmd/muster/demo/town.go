package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/api/server"
	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/durable"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store/pebble"
	"github.com/musterlog/muster/log/vrf"
	"github.com/musterlog/muster/witness"
	"github.com/musterlog/muster/witness/auditor"
)

// quiet is the logger of all parties: what they find, the demo tells.
var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// watcher is a witness or an auditor that can be asked to cosign.
type watcher struct {
	name     string
	dir      string
	key      checkpoint.Key
	url      string
	cosigner *client.Cosigner
	stop     func() error
}

// newWatcher runs a cosigner of some logs on loopback: a witness or, with a
// check of its own, an auditor.
func newWatcher(name, dir string, cfg witness.Config) (*watcher, error) {
	key, err := checkpoint.NewCosigner(checkpoint.Cosignature, name+".example.net", seed())
	if err != nil {
		return nil, err
	}
	if err := durable.MakeFolder(dir); err != nil {
		return nil, err
	}
	cfg.Dir, cfg.Init, cfg.Cosigners, cfg.Logger = dir, true, []*checkpoint.Cosigner{key}, quiet
	running, err := witness.Open(cfg)
	if err != nil {
		return nil, err
	}
	url, stop, err := listen(running.Handler())
	if err != nil {
		return nil, errors.Join(err, running.Close())
	}
	w := &watcher{name: name, dir: dir, key: key.Key(), url: url, stop: func() error { stop(); return running.Close() }}
	all, err := client.NewCosigners("muster demo", url)
	if err != nil {
		return nil, errors.Join(err, w.stop())
	}
	w.cosigner = all[url]
	return w, nil
}

func seed() (s [32]byte) {
	rand.Read(s[:])
	return s
}

// newWitnesses runs three, which watch all of these logs.
func newWitnesses(dir string, logs []checkpoint.Key) ([]*watcher, func() error, error) {
	var known []witness.Log
	for _, key := range logs {
		known = append(known, witness.Log{Key: key})
	}
	var all []*watcher
	stop := func() (err error) {
		for _, w := range all {
			err = errors.Join(err, w.stop())
		}
		return err
	}
	for i := range 3 {
		name := fmt.Sprintf("w%d", i+1)
		w, err := newWatcher(name, filepath.Join(dir, name), witness.Config{Logs: known})
		if err != nil {
			return nil, nil, errors.Join(err, stop())
		}
		all = append(all, w)
	}
	return all, stop, nil
}

const dayOrigin = name.Origin("keys.example.org/log1")

// town is an honest log, as `muster serve` runs it, and all who watch it.
type town struct {
	place
	stops []func() error // last first
}

func (t *town) stop() (err error) {
	for i := range t.stops {
		err = errors.Join(err, t.stops[len(t.stops)-1-i]())
	}
	return err
}

func openTown(ctx context.Context, dir string) (_ *town, err error) {
	t := &town{}
	t.dir = dir
	defer func() {
		if err != nil {
			err = errors.Join(err, t.stop())
		}
	}()
	signer, err := checkpoint.NewSigner(string(dayOrigin), seed())
	if err != nil {
		return nil, err
	}
	url, serve, err := reserve()
	if err != nil {
		return nil, err
	}
	t.url = url
	cosigners, err := t.openWatchers(signer.Key())
	if err != nil {
		return nil, err
	}
	return t, t.openLog(ctx, serve, log.Config{
		Origin: dayOrigin, Signer: signer, VRF: vrf.NewPrivateKey(seed()), Head: log.HeadFile(filepath.Join(dir, "signed-head")),
		Epoch: time.Millisecond, Heartbeat: time.Minute, Policy: t.policy, Cosigners: cosigners, Logger: quiet,
	})
}

// openWatchers runs three witnesses and an auditor, and makes the policy of
// them: two of the three, and the auditor.
func (t *town) openWatchers(key checkpoint.Key) (map[string]log.Cosigner, error) {
	all, stop, err := newWitnesses(filepath.Join(t.dir, "witnesses"), []checkpoint.Key{key})
	if err != nil {
		return nil, err
	}
	t.stops = append(t.stops, stop)
	files, err := client.New(client.Config{URL: t.url})
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(t.dir, "auditor")
	replays, err := auditor.Open(auditor.Config{Dir: dir, Log: key, Source: files, Logger: quiet})
	if err != nil {
		return nil, err
	}
	t.stops = append(t.stops, replays.Close)
	a, err := newWatcher("a1", dir, witness.Config{Logs: []witness.Log{{Key: key}}, Check: replays.Judge})
	if err != nil {
		return nil, err
	}
	t.stops = append(t.stops, a.stop)
	if t.policy, err = policyOf(key, all, a); err != nil {
		return nil, err
	}
	cosigners := map[string]log.Cosigner{a.url: a.cosigner}
	for _, w := range all {
		cosigners[w.url] = w.cosigner
	}
	return cosigners, nil
}

// openLog makes the log and runs it.
func (t *town) openLog(ctx context.Context, serve func(http.Handler) func(), cfg log.Config) error {
	s, err := pebble.Create(pebble.Config{Dir: filepath.Join(t.dir, "store")})
	if err != nil {
		return err
	}
	t.stops = append(t.stops, s.Close)
	cfg.Store = s
	if err := log.Create(cfg); err != nil {
		return err
	}
	l, err := log.Open(cfg)
	if err != nil {
		return err
	}
	handler, err := server.New(server.Config{Backend: &honest{Log: l, cfg: cfg}, Logger: quiet})
	if err != nil {
		return err
	}
	stop := serve(handler)
	t.stops = append(t.stops, func() error { stop(); return nil })
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	t.stops = append(t.stops, func() error { cancel(); return <-ended })
	return nil
}
