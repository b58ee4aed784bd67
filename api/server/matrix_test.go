package server_test

import (
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/musterlog/muster/api/credential"
	"github.com/musterlog/muster/api/server"
	musterv1 "github.com/musterlog/muster/api/v1"
)

// An outcome is what a caller gets.
const (
	in  = "let in"
	who = "unauthenticated"
	not = "permission denied"
)

// kinds are the callers of the matrix.
var kinds = []string{"nobody", "audit", "read", "write", "operator", "revoked", "unknown", "malformed", "basic", "twice", "in the URL", "in a cookie"}

// matrix is who may do what: a row for each method of the account API and each
// public file, a column for each of kinds. What the router has and this table
// has not fails the test, and so does a row of which the endpoint is gone.
var matrix = map[string][]string{
	//                               nobody audit read write operator revoked unknown malformed basic twice URL cookie
	"muster.v1.MusterService/Submit":       {who, not, not, in, in, who, who, who, who, who, who, who},
	"muster.v1.MusterService/SubmitStream": {who, not, not, in, in, who, who, who, who, who, who, who},
	"muster.v1.MusterService/Lookup":       {who, not, in, in, in, who, who, who, who, who, who, who},
	"muster.v1.MusterService/Info":         {in, in, in, in, in, in, in, in, in, in, in, in},
	"checkpoint":                           {in, in, in, in, in, in, in, in, in, in, "not found", in}, // a file has one URL
	"tile":                                 {in, in, in, in, in, in, in, in, in, in, "not found", in},
	"tile/entries":                         {in, in, in, in, in, in, in, in, in, in, "not found", in},
}

// restricted are the rows that --entries restricted changes.
var restricted = map[string][]string{
	"tile/entries": {who, in, in, in, in, who, who, who, who, who, "not found", who},
}

// endpoints are the router's, the account API's by its descriptor.
func endpoints(t *testing.T, h http.Handler) (all []string) {
	t.Helper()
	services := musterv1.File_muster_v1_muster_proto.Services()
	methods := map[string][]string{}
	for i := range services.Len() {
		s := services.Get(i)
		for j := range s.Methods().Len() {
			name := string(s.FullName())
			methods[name] = append(methods[name], name+"/"+string(s.Methods().Get(j).Name()))
		}
	}
	for _, segment := range server.Routes(h) {
		if m, ok := methods[segment]; ok {
			all = append(all, m...)
			delete(methods, segment)
		} else {
			all = append(all, segment)
		}
		if segment == "tile" {
			all = append(all, "tile/entries")
		}
	}
	for s := range methods {
		t.Errorf("service %s has no route", s)
	}
	return all
}

func TestAuthorisationMatrix(t *testing.T) {
	for _, restrict := range []bool{false, true} {
		var h http.Handler
		g := guard(t, newFake(300), func(cfg server.Config) (made http.Handler, err error) {
			cfg.RestrictEntries = restrict
			h, err = server.New(cfg)
			return h, err
		})
		revoked, c, err := credential.Add(g.path, credential.Operator, "", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := credential.Revoke(g.path, c.ID()); err != nil {
			t.Fatal(err)
		}
		rows := maps.Clone(matrix)
		if restrict {
			maps.Copy(rows, restricted)
		}
		seen, cells := map[string]bool{}, 0
		for _, endpoint := range endpoints(t, h) {
			row, ok := rows[endpoint]
			if !ok || len(row) != len(kinds) {
				t.Errorf("%s has no row in the authorisation matrix, or one with %d of %d columns: who may do it?", endpoint, len(row), len(kinds))
				continue
			}
			seen[endpoint] = true
			for i, kind := range kinds {
				for _, protocol := range protocols(endpoint) {
					cells++
					if got := outcomeOf(t, request(t, g, endpoint, kind, protocol, revoked)); got != row[i] {
						t.Errorf("restricted %v: %s by %s over %s: %s, want %s", restrict, endpoint, kind, protocol, got, row[i])
					}
				}
			}
		}
		for endpoint := range rows {
			if !seen[endpoint] {
				t.Errorf("%s has a row in the authorisation matrix and is no endpoint", endpoint)
			}
		}
		t.Logf("restricted %v: %d endpoints, %d cells", restrict, len(seen), cells)
	}
}

func protocols(endpoint string) []string {
	if !strings.HasPrefix(endpoint, "muster.") {
		return []string{""}
	}
	if strings.HasSuffix(endpoint, "Stream") {
		return []string{"application/connect+proto", "application/grpc", "application/grpc-web"}
	}
	return []string{"application/json", "application/proto", "application/grpc", "application/grpc-web"}
}

// request is an endpoint's by one kind of caller, with an empty message.
func request(t *testing.T, g *guarded, endpoint, kind, protocol string, revoked credential.Token) *http.Request {
	t.Helper()
	token := g.tokens[credential.Operator].Reveal()
	method, url, body := http.MethodGet, g.url+"/"+endpoint, ""
	switch {
	case endpoint == "tile":
		url += "/0/000"
	case endpoint == "tile/entries":
		url += "/000"
	case protocol == "application/json":
		method, body = http.MethodPost, "{}"
	case protocol == "application/proto":
		method = http.MethodPost
	case protocol != "":
		method, body = http.MethodPost, "\x00\x00\x00\x00\x00"
	}
	if kind == "in the URL" {
		url += "?token=" + token + "&access_token=" + token
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", protocol)
	r.Header.Set("Te", "trailers")
	switch kind {
	case "audit", "read", "write", "operator":
		scope, _ := credential.ParseScope(kind)
		r.Header.Set("Authorization", "Bearer "+g.tokens[scope].Reveal())
	case "revoked":
		r.Header.Set("Authorization", "Bearer "+revoked.Reveal())
	case "unknown":
		r.Header.Set("Authorization", "Bearer "+credential.NewToken().Reveal())
	case "malformed":
		r.Header.Set("Authorization", "Bearer "+token+"0")
	case "basic":
		r.SetBasicAuth("muster", token)
	case "twice":
		r.Header["Authorization"] = []string{"Bearer " + token, "Bearer " + token}
	case "in a cookie":
		r.AddCookie(&http.Cookie{Name: "Authorization", Value: "Bearer " + token})
	}
	return r
}

// outcomeOf reads a response of any protocol.
func outcomeOf(t *testing.T, r *http.Request) string {
	t.Helper()
	response, err := h2(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	protocol := r.Header.Get("Content-Type")
	said, status := string(body), response.Header.Get("Grpc-Status")+response.Trailer.Get("Grpc-Status")
	switch {
	case status == "16" || strings.Contains(said, `"unauthenticated"`) || strings.Contains(said, "grpc-status: 16"):
		return who
	case status == "7" || strings.Contains(said, `"permission_denied"`) || strings.Contains(said, "grpc-status: 7"):
		return not
	case protocol == "" && response.StatusCode == http.StatusUnauthorized:
		return who
	case response.StatusCode == http.StatusNotFound:
		return "not found"
	case response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden || response.StatusCode >= 500:
		return response.Status
	}
	return in
}

// What is no endpoint of the account API is nobody's, whatever the credential.
func TestUnknownMethod(t *testing.T) {
	g := guard(t, newFake(2), server.New)
	for _, path := range []string{service + "Nothing", service, service + "Submit/", "/debug/pprof/", "/metrics", "/healthz", "/readyz", "/"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+g.tokens[credential.Operator].Reveal())
		if got := outcomeOf(t, r); got != "not found" {
			t.Errorf("%s: %s", path, got)
		}
	}
}
