package client_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
)

const signed = "keys.example.org/log1\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— keys.example.org/log1 AAAAAAA=\n"

// newCosigner is a client of a server that does this, at a prefix.
func newCosigner(t *testing.T, do http.HandlerFunc) *client.Cosigner {
	t.Helper()
	server := httptest.NewServer(do)
	t.Cleanup(server.Close)
	u := server.URL + "/prefix/"
	all, err := client.NewCosigners("test", u)
	if err != nil {
		t.Fatal(err)
	}
	return all[u]
}

// The request is C2SP's, byte for byte.
func TestAddCheckpointRequest(t *testing.T) {
	var got string
	c := newCosigner(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.String() + "\n" + string(body)
		io.WriteString(w, "— w AAAAAAA=\n— w AAAAAAA=\n")
	})
	lines, err := c.AddCheckpoint(t.Context(), 2, []leaf.Hash{{1}, {}}, []byte(signed))
	if err != nil || len(lines) != 2 || lines[0].Name != "w" {
		t.Errorf("%+v %v", lines, err)
	}
	want := "POST /prefix/add-checkpoint\nold 2\nAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n" + signed
	if got != want {
		t.Errorf("sent\n%s want\n%s", got, want)
	}
	if _, err := c.AddCheckpoint(t.Context(), 0, nil, []byte(signed)); err != nil || got != "POST /prefix/add-checkpoint\nold 0\n\n"+signed {
		t.Errorf("sent without a proof\n%s %v", got, err)
	}
}

// What an answer means: one spelling of a conflict, and nothing else tells a size.
func TestAddCheckpointAnswers(t *testing.T) {
	const size = "text/x.tlog.size"
	for name, c := range map[string]struct {
		status            int
		contentType, body string
		conflict          int64 // -1: none
		inconsistent      bool
	}{
		"conflict":                  {409, size, "7\n", 7, false},
		"conflict of size 0":        {409, size, "0\n", 0, false},
		"conflict without type":     {409, "", "7\n", -1, false},
		"conflict with parameters":  {409, size + "; charset=utf-8", "7\n", -1, false},
		"conflict of another type":  {409, "text/plain", "7\n", -1, false},
		"conflict without break":    {409, size, "7", -1, false},
		"conflict with two breaks":  {409, size, "7\n\n", -1, false},
		"conflict with CRLF":        {409, size, "7\r\n", -1, false},
		"conflict with a zero":      {409, size, "07\n", -1, false},
		"conflict with a sign":      {409, size, "+7\n", -1, false},
		"conflict below 0":          {409, size, "-7\n", -1, false},
		"conflict of 2^63":          {409, size, "9223372036854775808\n", -1, false},
		"conflict of nothing":       {409, size, "\n", -1, false},
		"a size that is no 409":     {400, size, "7\n", -1, false},
		"inconsistent":              {422, "text/plain", "no\n", -1, true},
		"not now":                   {503, "text/plain", "reading\n", -1, false},
		"success with nothing":      {200, "text/plain", "", -1, false},
		"success with HTML":         {200, "text/html", "<html>\n", -1, false},
		"success with half a line":  {200, "text/plain", "— w AAAAAAA=", -1, false},
		"success with another code": {201, "text/plain", "— w AAAAAAA=\n", -1, false},
		"too long":                  {200, "text/plain", strings.Repeat("— w AAAAAAA=\n", 10_000), -1, false},
		"too many":                  {200, "text/plain", strings.Repeat("— w AAAAAAA=\n", 101), -1, false},
	} {
		cosigner := newCosigner(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			if c.contentType != "" {
				w.Header().Set("Content-Type", c.contentType)
			}
			w.WriteHeader(c.status)
			io.WriteString(w, c.body)
		})
		lines, err := cosigner.AddCheckpoint(t.Context(), 2, nil, []byte(signed))
		if err == nil {
			t.Errorf("%s: accepted: %v", name, lines)
			continue
		}
		var conflict *checkpoint.Conflict
		if errors.As(err, &conflict) != (c.conflict >= 0) || conflict != nil && conflict.Size != uint64(c.conflict) {
			t.Errorf("%s: %v, want conflict %d", name, err, c.conflict)
		}
		if errors.Is(err, checkpoint.ErrInconsistent) != c.inconsistent {
			t.Errorf("%s: %v, want inconsistent: %v", name, err, c.inconsistent)
		}
	}
}

// Nobody is followed elsewhere, and a cosigner that hangs ends with its caller.
func TestCosignerElsewhereAndNowhere(t *testing.T) {
	elsewhere := 0
	c := newCosigner(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			elsewhere++
			io.WriteString(w, "— w AAAAAAA=\n")
			return
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	if _, err := c.AddCheckpoint(t.Context(), 0, nil, []byte(signed)); err == nil || elsewhere > 0 {
		t.Errorf("followed %d times: %v", elsewhere, err)
	}
	hangs := newCosigner(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := hangs.AddCheckpoint(ctx, 0, nil, []byte(signed))
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("a cosigner that hangs: %v", err)
	}
}

func TestCosignerCheckpoint(t *testing.T) {
	const origin = "keys.example.org/log1"
	c := newCosigner(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.String() != fmt.Sprintf("/prefix/%x/checkpoint", sha256.Sum256([]byte(origin))) {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, signed)
	})
	if got, err := c.Checkpoint(t.Context(), origin); err != nil || string(got) != signed {
		t.Errorf("%q %v", got, err)
	}
	if got, err := c.Checkpoint(t.Context(), "another"); err == nil {
		t.Errorf("a 404 gave %q", got)
	}
}

func TestCosignerURLs(t *testing.T) {
	for _, bad := range []string{"", "witness.example.org", "ftp://witness.example.org", "http://", "http://a/?q", "http://u:p@a/", "http://a/#f"} {
		if _, err := client.NewCosigners("", bad); err == nil || !strings.Contains(err.Error(), "base URL") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
