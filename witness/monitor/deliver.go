package monitor

import (
	"context"
	"encoding/json"
	"fmt"
)

// deliver keeps the journal, prints what was not printed, and posts what was
// not posted, in order. A hook that fails costs one try here; the alerts wait
// in the journal, and the accounts are verified meanwhile.
func (m *Monitor) deliver(ctx context.Context, o *Outcome) error {
	// A crash before this line finds the same events again.
	if err := m.save(); err != nil {
		return err
	}
	if err := m.print(o); err != nil {
		return err
	}
	if m.cfg.Hook == nil {
		m.pop(len(m.journal.Queue))
		return m.save()
	}
	return m.post(ctx)
}

func (m *Monitor) print(o *Outcome) error {
	for i := range m.journal.Queue {
		q := &m.journal.Queue[i]
		if q.Printed {
			continue
		}
		line, err := json.Marshal(q.Alert)
		if err != nil {
			return err
		}
		if _, err := m.cfg.Out.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("printing an alert: %w: it is kept, and printed by the next monitor on this folder", err)
		}
		// A crash between the line above and the next save prints it twice.
		q.Printed, m.dirty = true, true
		if q.Alert.Alarm {
			o.Alarms++
		}
	}
	return m.save()
}

func (m *Monitor) post(ctx context.Context) error {
	if m.cfg.Now().Before(m.nextPost) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, deliverTime)
	defer cancel()
	for sent := 0; len(m.journal.Queue) > 0 && ctx.Err() == nil; sent++ {
		a := &m.journal.Queue[0].Alert
		line, err := json.Marshal(a)
		if err != nil {
			return err
		}
		if err := m.cfg.Hook.Post(ctx, a.ID, line); err != nil {
			m.backOff(err)
			return m.save()
		}
		m.backoff = 0
		m.pop(1)
		// A crash before this is written posts up to deliverBatch alerts again.
		if sent%deliverBatch == deliverBatch-1 {
			if err := m.save(); err != nil {
				return err
			}
		}
	}
	return m.save()
}

func (m *Monitor) backOff(err error) {
	m.backoff = min(max(2*m.backoff, minBackoff), maxBackoff)
	m.nextPost = m.cfg.Now().Add(m.backoff)
	m.cfg.Logger.Warn("alerts wait for the webhook", "waiting", len(m.journal.Queue), "retry", m.backoff, "error", err)
}

func (m *Monitor) pop(n int) {
	if n > 0 {
		m.journal.Queue, m.dirty = m.journal.Queue[n:], true
	}
}
