package monitor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Webhook posts alerts to one URL. The owner named it: that is its allow-list,
// so it may be a private address, and nothing that it answers leads anywhere
// else: redirects are errors, and its answer's body is thrown away.
type Webhook struct {
	url  string
	host string
	http *http.Client
}

// NewWebhook makes one for an http or https URL. It connects to nothing yet.
func NewWebhook(target string) (*Webhook, error) {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Fragment != "" {
		return nil, errors.New("webhook URL: want http or https and a host, such as https://alerts.example.org/muster")
	}
	return &Webhook{url: target, host: u.Host, http: &http.Client{
		Timeout:       webhookTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Post is Hook's: nil only if the target answered 2xx. The alert's id is the
// Idempotency-Key, the same for each time that the alert is sent.
func (h *Webhook) Post(ctx context.Context, id string, line []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(line))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", id)
	response, err := h.http.Do(r)
	if err != nil {
		// The URL may hold a secret: only its host is ever printed.
		var whole *url.Error
		if errors.As(err, &whole) {
			err = whole.Err
		}
		return fmt.Errorf("posting to the webhook at %s: %w", h.host, err)
	}
	defer response.Body.Close()
	io.CopyN(io.Discard, response.Body, maxWebhookBody) // so that the connection can be used again
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("posting to the webhook at %s: it answers %d, want 2xx (redirects are not followed)", h.host, response.StatusCode)
	}
	return nil
}
