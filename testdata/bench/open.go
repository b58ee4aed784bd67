package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store/pebble"
	"github.com/musterlog/muster/log/vrf"
)

// open is a log that runs in this process.
type open struct {
	cfg   log.Config
	log   *log.Log
	store *pebble.Store
	stop  context.CancelFunc
	done  chan error
}

// logKey signs the town's log, which protects nothing.
func logKey() (*checkpoint.Signer, error) { return checkpoint.NewSigner(string(origin), [32]byte{1}) }

var vrfSeed = [32]byte{2}

// config is the log's of a folder, laid out as `muster serve` wants it.
func config(dir string) (log.Config, error) {
	signer, err := logKey()
	return log.Config{
		Origin: origin, Signer: signer, VRF: vrf.NewPrivateKey(vrfSeed), Head: log.HeadFile(filepath.Join(dir, "signed-head")),
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}, err
}

// createLog makes an empty log in a new folder.
func createLog(dir string) error {
	cfg, err := config(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	s, err := pebble.Create(pebble.Config{Dir: filepath.Join(dir, "store")})
	if err != nil {
		return err
	}
	cfg.Store = s
	return errors.Join(
		log.Create(cfg), s.Close(),
		os.WriteFile(filepath.Join(dir, "vrf.key"), []byte(hex.EncodeToString(vrfSeed[:])+"\n"), 0o600),
		os.WriteFile(filepath.Join(dir, "log.key"), []byte(cfg.Signer.Text()+"\n"), 0o600),
	)
}

// openLog opens the log of a folder as `muster serve` does, with epochs of at
// most so many events, under a policy of four cosigners in this process.
func openLog(dir string, epochEvents int) (*open, error) {
	o := &open{done: make(chan error, 1)}
	var err error
	if o.cfg, err = config(dir); err != nil {
		return nil, err
	}
	o.cfg.MaxEpochEvents = epochEvents
	if err := o.addCosigners(); err != nil {
		return nil, err
	}
	if o.store, err = pebble.Open(pebble.Config{Dir: filepath.Join(dir, "store")}); err != nil {
		return nil, err
	}
	o.cfg.Store = o.store
	if o.log, err = log.Open(o.cfg); err != nil {
		return nil, errors.Join(err, o.store.Close())
	}
	log.LimitMemory(o.log.Events())
	ctx, stop := context.WithCancel(context.Background())
	o.stop = stop
	go func() { o.done <- o.log.Run(ctx) }()
	for o.log.Published() == nil {
		time.Sleep(time.Millisecond)
	}
	return o, nil
}

func (o *open) close() error {
	if o == nil {
		return nil
	}
	o.stop()
	return errors.Join(<-o.done, o.store.Close())
}

// events is how many are published.
func (o *open) events() int {
	size, epoch := o.log.Position()
	return int(size) - 1 - int(epoch+1) // GENESIS, and an EPOCH leaf each
}

// ready opens the log with epochs of this size if it is not; 0: any size.
func (b *bench) ready(epochEvents int) error {
	if b.open != nil && (epochEvents == 0 || b.open.cfg.MaxEpochEvents == epochEvents) {
		return nil
	}
	if err := b.close(); err != nil {
		return err
	}
	var err error
	b.open, err = openLog(b.logDir(), cmp.Or(epochEvents, log.MaxEpochEvents))
	return err
}

// trusting is a policy that the log alone meets.
func trusting(logKey string) (*checkpoint.Policy, error) {
	return checkpoint.ParsePolicy([]byte("log " + logKey + "\nquorum none\n"))
}

func (b *bench) close() error {
	err := b.open.close()
	b.open = nil
	return err
}

// local is a cosigner that signs whatever it is shown.
type local struct{ *checkpoint.Cosigner }

func (c local) AddCheckpoint(_ context.Context, _ uint64, _ []leaf.Hash, raw []byte) ([]checkpoint.Line, error) {
	note, err := checkpoint.Parse(raw)
	if err != nil {
		return nil, err
	}
	return []checkpoint.Line{c.Cosign(note.Text, uint64(time.Now().Unix()))}, nil
}

func (local) Checkpoint(context.Context, name.Origin) ([]byte, error) {
	return nil, errors.New("this cosigner keeps nothing")
}

func (o *open) addCosigners() error {
	text := fmt.Sprintf("log %s\n", o.cfg.Signer.Key())
	o.cfg.Cosigners = make(map[string]log.Cosigner)
	for i := range 4 {
		c, err := checkpoint.NewCosigner(checkpoint.Cosignature, fmt.Sprintf("witness%d.example", i), [32]byte{byte(10 + i)})
		if err != nil {
			return err
		}
		url := fmt.Sprintf("http://witness%d.example", i)
		text += fmt.Sprintf("witness w%d %s %s\n", i, c.Key(), url)
		o.cfg.Cosigners[url] = local{c}
	}
	var err error
	o.cfg.Policy, err = checkpoint.ParsePolicy([]byte(text + "group q all w0 w1 w2 w3\nquorum q\n"))
	return err
}
