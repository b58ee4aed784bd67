package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
)

// Cosigner asks one witness or auditor (C2SP tlog-witness, protocol section
// 7). It verifies nothing: what comes back may be anything of bounded length.
type Cosigner struct {
	base string // without a slash at the end
	http *http.Client
}

// NewCosigners makes a client for each URL, the prefix of add-checkpoint. All
// share their connections. It connects to nothing yet.
func NewCosigners(userAgent string, urls ...string) (map[string]*Cosigner, error) {
	shared := &http.Client{
		CheckRedirect: refuseRedirect,
		Transport: &transport{userAgent: userAgent, next: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			MaxConnsPerHost:        maxCosignerConns,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        cosignerIdle,
			TLSHandshakeTimeout:    cosignerTimeout,
			MaxResponseHeaderBytes: maxCosignerHeader,
			DisableCompression:     true, // nobody sends us a few bytes that become many
		}},
	}
	all := make(map[string]*Cosigner)
	for _, u := range urls {
		base, err := parseBase(u)
		if err != nil {
			return nil, fmt.Errorf("cosigner URL %q: %w, such as https://witness.example.org/muster", u, err)
		}
		all[u] = &Cosigner{base: base, http: shared}
	}
	return all, nil
}

// AddCheckpoint asks for cosignatures of a signed checkpoint which extends the
// one of size old that the cosigner has, by this proof. Errors:
// *checkpoint.Conflict for another size there, checkpoint.ErrInconsistent for a
// proof that it refuses; any other says that it does not cosign now.
func (c *Cosigner) AddCheckpoint(ctx context.Context, old uint64, proof []leaf.Hash, note []byte) ([]checkpoint.Line, error) {
	body := append([]byte("old "), strconv.AppendUint(nil, old, 10)...)
	for _, h := range proof {
		body = base64.StdEncoding.AppendEncode(append(body, '\n'), h[:])
	}
	body = append(append(body, "\n\n"...), note...)
	status, header, answer, err := c.do(ctx, http.MethodPost, "/add-checkpoint", body)
	if err != nil {
		return nil, fmt.Errorf("asking for a cosignature at %s: %w", c.base, err)
	}
	switch status {
	case http.StatusOK:
		lines, err := checkpoint.ParseLines(answer)
		if err != nil {
			return nil, fmt.Errorf("the cosigner at %s: %w", c.base, err)
		}
		return lines, nil
	case http.StatusConflict:
		// Only this form tells a size: an error page that says 409 is no conflict.
		if types := header.Values("Content-Type"); len(types) != 1 || types[0] != checkpoint.ConflictType {
			break
		}
		conflict, err := checkpoint.ParseConflict(answer)
		if err != nil {
			return nil, fmt.Errorf("the cosigner at %s: %w", c.base, err)
		}
		return nil, conflict
	case http.StatusUnprocessableEntity:
		return nil, fmt.Errorf("%s: %w", c.base, checkpoint.ErrInconsistent)
	}
	return nil, c.refused(status, answer)
}

// Checkpoint is the note of a log that the cosigner last cosigned, from its
// monitoring endpoint.
func (c *Cosigner) Checkpoint(ctx context.Context, origin name.Origin) ([]byte, error) {
	path := fmt.Sprintf("/%x/checkpoint", sha256.Sum256([]byte(origin)))
	status, _, answer, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoint at %s: %w", c.base, err)
	}
	if status != http.StatusOK {
		return nil, c.refused(status, answer)
	}
	return answer, nil
}

func (c *Cosigner) refused(status int, answer []byte) error {
	return fmt.Errorf("the cosigner at %s answers %d: %s", c.base, status, quote(string(answer[:min(len(answer), maxRefusal)])))
}

// do sends one request and reads an answer of at most maxNote bytes.
func (c *Cosigner) do(ctx context.Context, method, path string, body []byte) (status int, header http.Header, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, cosignerTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	response, err := c.http.Do(r)
	if err != nil {
		return 0, nil, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(response.Body, maxNote+1))
	if err == nil && len(answer) > maxNote {
		err = errors.New("the answer is longer than any checkpoint: is this a cosigner's URL?")
	}
	return response.StatusCode, response.Header, answer, err
}
