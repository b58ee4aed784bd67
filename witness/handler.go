package witness

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

// Handler serves add-checkpoint and, for whoever wants to see what was
// cosigned, the last cosigned checkpoint of each log (C2SP tlog-witness):
//
//	POST /add-checkpoint
//	GET  /<hexadecimal SHA-256 of the origin>/checkpoint
func (w *Witness) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", w.addCheckpoint)
	mux.HandleFunc("GET /{hash}/checkpoint", w.checkpoint)
	return mux
}

func (w *Witness) addCheckpoint(rw http.ResponseWriter, req *http.Request) {
	// No Content-Type is asked for: C2SP names none.
	//
	// A server that cannot set a deadline has one of its own, if any.
	control := http.NewResponseController(rw)
	control.SetReadDeadline(time.Now().Add(w.bodyTime))
	body, err := io.ReadAll(http.MaxBytesReader(rw, req.Body, int64(maxBody)))
	if err != nil {
		write(rw, unread(err))
		return
	}
	control.SetReadDeadline(time.Time{})
	ctx, cancel := context.WithTimeout(req.Context(), turnTime)
	defer cancel()
	write(rw, w.AddCheckpoint(ctx, body))
}

// unread answers a body that did not arrive.
func unread(err error) *Answer {
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return refuse(http.StatusRequestEntityTooLarge, "want a body of at most %d bytes", maxBody)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(http.StatusRequestTimeout, "the body takes too long")
	}
	return refuse(http.StatusBadRequest, "the body is cut off")
}

func (w *Witness) checkpoint(rw http.ResponseWriter, req *http.Request) {
	if s := w.byHash[req.PathValue("hash")]; s != nil {
		if note := s.newest(); note != nil {
			write(rw, &Answer{Status: http.StatusOK, ContentType: plainText, Body: note})
			return
		}
	}
	write(rw, refuse(http.StatusNotFound, "no checkpoint was cosigned under this name"))
}

func write(rw http.ResponseWriter, a *Answer) {
	h := rw.Header()
	h.Set("Content-Type", a.ContentType)
	h.Set("Content-Length", strconv.Itoa(len(a.Body)))
	// Every answer is of this moment. A kept 404 or 409 would outlive its truth.
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if a.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(a.RetryAfter/time.Second)))
	}
	rw.WriteHeader(a.Status)
	rw.Write(a.Body)
}
