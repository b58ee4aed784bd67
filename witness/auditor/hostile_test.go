package auditor_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/api/server"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/witness/auditor"
	"github.com/musterlog/muster/witness/follow/followtest"
)

// deadline is what a test gives an auditor; patience is when it must have
// ended, on a machine however slow.
const (
	deadline = time.Second
	patience = 20 * time.Second
)

// behaviours are what a hostile server may do to a file: body is the right one.
var behaviours = map[string]func(w http.ResponseWriter, r *http.Request, body []byte){
	"truncated":       func(w http.ResponseWriter, _ *http.Request, body []byte) { w.Write(body[:len(body)-1]) },
	"one byte longer": func(w http.ResponseWriter, _ *http.Request, body []byte) { w.Write(append(body, '\n')) },
	"twice":           func(w http.ResponseWriter, _ *http.Request, body []byte) { w.Write(append(body, body...)) },
	"empty":           func(http.ResponseWriter, *http.Request, []byte) {},
	"a bit flipped": func(w http.ResponseWriter, _ *http.Request, body []byte) {
		body[len(body)/2] ^= 4
		w.Write(body)
	},
	"zeros": func(w http.ResponseWriter, _ *http.Request, body []byte) { w.Write(make([]byte, len(body))) },
	"ones": func(w http.ResponseWriter, _ *http.Request, body []byte) {
		w.Write(bytes.Repeat([]byte{0xff}, len(body)))
	},
	"HTML": func(w http.ResponseWriter, _ *http.Request, _ []byte) {
		fmt.Fprint(w, "<!doctype html><title>ok</title>")
	},
	"204": func(w http.ResponseWriter, _ *http.Request, _ []byte) { w.WriteHeader(http.StatusNoContent) },
	"206": func(w http.ResponseWriter, _ *http.Request, body []byte) { w.WriteHeader(206); w.Write(body) },
	"404": func(w http.ResponseWriter, r *http.Request, _ []byte) { http.NotFound(w, r) },
	"500": func(w http.ResponseWriter, _ *http.Request, body []byte) { w.WriteHeader(500); w.Write(body) },
	"503": func(w http.ResponseWriter, _ *http.Request, body []byte) { w.WriteHeader(503); w.Write(body) },
	"a redirect": func(w http.ResponseWriter, r *http.Request, _ []byte) {
		http.Redirect(w, r, r.URL.Path+"?2", http.StatusFound)
	},
	"a redirect to a file": func(w http.ResponseWriter, r *http.Request, _ []byte) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusMovedPermanently)
	},
	"gzip bomb": func(w http.ResponseWriter, _ *http.Request, _ []byte) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		zeros := make([]byte, 1<<20)
		for range 64 {
			z.Write(zeros)
		}
		z.Close()
	},
	"gzip that is none": func(w http.ResponseWriter, _ *http.Request, body []byte) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(body)
	},
	"endless": func(w http.ResponseWriter, r *http.Request, body []byte) {
		for r.Context().Err() == nil {
			if _, err := w.Write(body); err != nil {
				return
			}
		}
	},
	"a byte at a time": func(w http.ResponseWriter, r *http.Request, body []byte) {
		for i := range body {
			w.Write(body[i : i+1])
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(deadline):
			}
		}
	},
	"silence": func(_ http.ResponseWriter, r *http.Request, _ []byte) { <-r.Context().Done() },
	"less than it says": func(w http.ResponseWriter, _ *http.Request, body []byte) {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)+9))
		w.Write(body)
	},
	"reset": func(_ http.ResponseWriter, _ *http.Request, _ []byte) { panic(http.ErrAbortHandler) },
	"no HTTP": func(w http.ResponseWriter, _ *http.Request, _ []byte) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			c.Write([]byte("SSH-2.0-OpenSSH_9.9\r\n"))
			c.Close()
		}
	},
}

// serve serves the log's files, with change for paths that begin so.
func serve(t *testing.T, f *followtest.Files, prefix string, change func(http.ResponseWriter, *http.Request, []byte)) *client.Client {
	t.Helper()
	honest, err := server.New(server.Config{Backend: f.Backend()})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if change == nil || !strings.HasPrefix(r.URL.Path, prefix) {
			honest.ServeHTTP(w, r)
			return
		}
		record := httptest.NewRecorder()
		honest.ServeHTTP(record, r)
		change(w, r, record.Body.Bytes())
	}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	c, err := client.New(client.Config{URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// refuses has the auditor fail in time, without a rule broken, and then follow
// the honest log from where it is.
func refuses(t *testing.T, l *liarLog, dir string, hostile *client.Client) {
	t.Helper()
	a := l.open(t, dir, hostile)
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	began := time.Now()
	r, err := a.Catch(ctx)
	if took := time.Since(began); took > patience {
		t.Errorf("it took %v", took)
	}
	if err == nil {
		t.Errorf("it was convinced: %+v", r)
	}
	if errors.As(err, new(*auditor.Broken)) {
		t.Errorf("it blames the log for what anybody can send: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.audits(t, dir, l.files()); err != nil {
		t.Errorf("afterwards the honest log is refused: %v", err)
	}
}

// TestHostileServers: nothing that a server can send in a file's place
// crashes, holds or convinces the auditor, or makes it blame the log.
func TestHostileServers(t *testing.T) {
	l := newLiar(6, 100)
	f := l.files()
	for _, prefix := range []string{"/checkpoint", "/tile/0/", "/tile/1/", "/tile/entries/000", "/tile/entries/002"} {
		for name, behaviour := range behaviours {
			t.Run(prefix+" "+name, func(t *testing.T) {
				t.Parallel()
				refuses(t, l, t.TempDir(), serve(t, f, prefix, behaviour))
			})
		}
	}
	t.Logf("%d behaviours", 5*len(behaviours))
}

// TestHostileNotes: checkpoints that are not the log's newest.
func TestHostileNotes(t *testing.T) {
	l := newLiar(3, 100)
	stranger := liar.New("keys.example.org/other", start)
	n, err := checkpoint.Parse(l.Note)
	if err != nil {
		t.Fatal(err)
	}
	text := n.Text + "\n"
	otherKey, err := checkpoint.NewSigner(string(origin), liar.Seed("another key"))
	if err != nil {
		t.Fatal(err)
	}
	cosigner, err := checkpoint.NewCosigner(checkpoint.Cosignature, string(origin), liar.Seed("log", string(origin)))
	if err != nil {
		t.Fatal(err)
	}
	larger := n.Checkpoint
	larger.Size += 5
	huge := n.Checkpoint
	huge.Size = 1<<62 + 7
	for name, note := range map[string][]byte{
		"another log":                stranger.Note,
		"another key of its name":    otherKey.Sign(n.Checkpoint),
		"a cosignature by its key":   checkpoint.Append([]byte(text), cosigner.Cosign(n.Text, 7)),
		"no signature":               []byte(text),
		"the signature twice":        checkpoint.Append([]byte(text), n.Lines[0], n.Lines[0]),
		"another text":               append([]byte(strings.Replace(text, "\n3", "\n2", 1)), n.Lines[0].String()+"\n"...),
		"an extension line":          append([]byte(strings.TrimSuffix(text, "\n")+"more\n\n"), n.Lines[0].String()+"\n"...),
		"CRLF":                       bytes.ReplaceAll(l.Note, []byte("\n"), []byte("\r\n")),
		"a leading zero":             bytes.Replace(l.Note, []byte("\n3"), []byte("\n03"), 1),
		"70,000 bytes":               bytes.Repeat([]byte("a"), 70000),
		"a root of a larger size":    l.Signer.Sign(larger),
		"a root of a size of 2^62+7": l.Signer.Sign(huge),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := l.files()
			f.Note = note
			refuses(t, l, t.TempDir(), serve(t, f, "", nil))
		})
	}
	t.Run("backwards", func(t *testing.T) {
		t.Parallel()
		old := newLiar(2, 100)
		f := l.files()
		a := l.open(t, t.TempDir(), f)
		defer a.Close()
		if _, err := a.Catch(context.Background()); err != nil {
			t.Fatal(err)
		}
		f.Note = old.Note
		if _, err := a.Catch(context.Background()); !errors.Is(err, auditor.ErrBackwards) {
			t.Errorf("an older checkpoint: %v", err)
		}
	})
}
