package server_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/musterlog/muster/api/credential"
	"github.com/musterlog/muster/api/server"
)

// safely is a log that many write and a test reads.
type safely struct {
	mu sync.Mutex
	bytes.Buffer
}

func (s *safely) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Buffer.Write(b)
}

func (s *safely) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Buffer.String()
}

// Who connects without speaking TLS, again and again, does not fill the server's
// log, which has the first of it, in its own form and without what was sent.
func TestBrokenHandshakes(t *testing.T) {
	var said safely
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&said, nil)))
	defer func() {
		slog.SetDefault(before)
		log.SetOutput(os.Stderr) // which slog took over
		log.SetFlags(log.LstdFlags)
	}()
	h, err := server.New(server.Config{Backend: newFake(2)})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(nil)
	s.Config = server.Server(h)
	s.StartTLS()
	token, began := credential.NewToken().Reveal(), time.Now()
	for range 5 * server.MaxErrorLines {
		c := dialRaw(t, strings.Replace(s.URL, "https", "http", 1))
		fmt.Fprintf(c, "GET /checkpoint HTTP/1.1\r\nHost: log\r\nAuthorization: Bearer %s\r\n\r\n", token)
		io.Copy(io.Discard, c)
		c.Close()
	}
	s.Close()
	most := server.MaxErrorLines * (2 + int(time.Since(began)/time.Minute))
	if n := strings.Count(said.String(), "\n"); n < server.MaxErrorLines || n > most {
		t.Errorf("%d lines, want %d at most", n, most)
	}
	for line := range strings.Lines(said.String()) {
		if !strings.Contains(line, `level=INFO msg="http: TLS handshake error`) || !strings.Contains(line, "untold=") {
			t.Errorf("the server says %s", line)
		}
		if strings.Contains(line, token[:20]) {
			t.Errorf("a token is told: %s", line)
		}
	}
}
