package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"

	"github.com/musterlog/muster/api/credential"
	"github.com/musterlog/muster/api/tile"
)

// file is one public file and what HTTP says of it.
type file struct {
	kind        string // checkpoint, tile or entries
	read        func(context.Context) ([]byte, error)
	contentType string
	cache       string
}

// serveFile serves /checkpoint, /tile/… and nothing else (C2SP tlog-tiles). A
// file has one URL, without a query: else every "?1", "?2" is a new file to a
// cache, and each request reaches the log.
func (h *handler) serveFile(w http.ResponseWriter, r *http.Request, path string) {
	discard(r)
	f, ok := h.file(path)
	if !ok || r.URL.RawQuery != "" || r.URL.ForceQuery {
		fail(w, http.StatusNotFound, "not found")
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, http.StatusMethodNotAllowed, "want GET or HEAD")
		return
	}
	if f.kind == "entries" && h.restricted {
		if _, err := h.access.admit(r, credential.Audit, f.kind); err != nil {
			refuseText(w, err)
			return
		}
		f.cache = "no-store" // a shared cache would give it to everybody
	}
	began := time.Now()
	data, err := f.read(r.Context())
	h.metrics.Answered(f.kind, fileOutcome(r.Context(), err), time.Since(began))
	switch {
	case errors.Is(err, ErrNotFound):
		fail(w, http.StatusNotFound, "not found")
	case err != nil && r.Context().Err() != nil:
		// The caller has gone: nobody reads this, and it is no fault.
		fail(w, http.StatusServiceUnavailable, "the request was cut off")
	case err != nil:
		h.logger.Error("reading a public file", "path", path, "error", err)
		fail(w, http.StatusInternalServerError, "internal error")
	default:
		w.Header().Set("Content-Type", f.contentType)
		w.Header().Set("Cache-Control", f.cache)
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		w.Write(data) // to a HEAD, net/http sends the header alone
	}
}

// fileOutcome says it in the codes of the account API.
func fileOutcome(ctx context.Context, err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrNotFound):
		return connect.CodeNotFound.String()
	case ctx.Err() != nil:
		return connect.CodeCanceled.String()
	}
	return connect.CodeInternal.String()
}

func (h *handler) file(path string) (file, bool) {
	if path == "/checkpoint" {
		return file{
			kind:        "checkpoint",
			read:        h.readCheckpoint,
			contentType: "text/plain; charset=utf-8",
			cache:       fmt.Sprintf("public, max-age=%d", checkpointAge),
		}, true
	}
	p, err := tile.Parse(path)
	if err != nil || p.Level > maxLevel {
		return file{}, false
	}
	kind := "tile"
	if p.Entries {
		kind = "entries"
	}
	return file{
		kind:        kind,
		read:        func(ctx context.Context) ([]byte, error) { return h.readTile(ctx, p) },
		contentType: "application/octet-stream",
		cache:       fmt.Sprintf("public, max-age=%d, immutable", tileAge),
	}, true
}

func (h *handler) readCheckpoint(context.Context) ([]byte, error) {
	note := h.backend.Checkpoint()
	if len(note) == 0 {
		return nil, ErrNotFound
	}
	return note, nil
}

// readTile checks the form of what it hands out, because caches keep it for
// ever, and a short tile under the path of a full one cannot be taken back.
func (h *handler) readTile(ctx context.Context, p tile.Path) (data []byte, err error) {
	if p.Entries {
		data, err = h.backend.Entries(ctx, p.N, p.Width)
	} else {
		data, err = h.backend.Tile(ctx, p.Level, p.N, p.Width)
	}
	if err != nil {
		return nil, err
	}
	return data, p.CheckData(data)
}
