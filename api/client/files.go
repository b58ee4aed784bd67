package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/musterlog/muster/api/tile"
)

// Checkpoint is the newest published signed note, at most 64 KiB; its
// signatures are to be verified.
func (c *Client) Checkpoint(ctx context.Context) ([]byte, error) {
	return c.get(ctx, "/checkpoint", maxNote)
}

// Tile is exactly width hashes of 32 bytes of hash tile n of a level (C2SP
// tlog-tiles); width 256 is the full tile. ErrNotFound if the log has no such
// tile. The hashes are to be checked against a checkpoint's root.
func (c *Client) Tile(ctx context.Context, level int, n uint64, width int) ([]byte, error) {
	return c.tile(ctx, tile.Path{Level: level, N: n, Width: width}, width*tile.HashSize)
}

// Entries is an entry bundle of exactly width leaves from position n·256 on;
// tile.CutEntries cuts it. It is well formed, and as unverified as a tile.
func (c *Client) Entries(ctx context.Context, n uint64, width int) ([]byte, error) {
	return c.tile(ctx, tile.Path{Entries: true, N: n, Width: width}, width*(2+maxEntry))
}

func (c *Client) tile(ctx context.Context, p tile.Path, limit int) ([]byte, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	data, err := c.get(ctx, p.String(), limit)
	if err != nil {
		return nil, err
	}
	if err := p.CheckData(data); err != nil {
		return nil, fmt.Errorf("reading %s%s: %w", c.base, p, err)
	}
	return data, nil
}

// get reads one public file of at most limit bytes.
func (c *Client) get(ctx context.Context, path string, limit int) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(r)
	if err != nil {
		return nil, c.explain("reading "+path, err)
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, fmt.Errorf("reading %s%s: %w", c.base, path, ErrNotFound)
	case http.StatusUnauthorized, http.StatusForbidden:
		said, _ := io.ReadAll(io.LimitReader(response.Body, maxMessage))
		return nil, fmt.Errorf("reading %s%s: the log does not let this client: %s", c.base, path, quote(strings.TrimSpace(string(said))))
	default:
		return nil, fmt.Errorf("reading %s%s: the log answers %q", c.base, path, quote(response.Status))
	}
	// One byte more than may be there: a server that goes on is caught, not cut.
	data, err := io.ReadAll(io.LimitReader(response.Body, int64(limit)+1))
	if err != nil {
		return nil, c.explain("reading "+path, err)
	}
	if len(data) > limit {
		return nil, fmt.Errorf("reading %s%s: over %d bytes", c.base, path, limit)
	}
	return data, nil
}
