package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"log/slog"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/musterlog/muster/api/credential"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/vrf"
)

// secretTypes are all types that hold a secret, each with how to make the value, its
// pointer, and things that hold both, from a secret of 32 bytes, or with the secret that
// it drew.
var secretTypes = map[string]func(t *testing.T, seed [32]byte) (held, []byte){
	"log/event.PrivateKey": func(t *testing.T, seed [32]byte) (held, []byte) {
		k, err := event.NewPrivateKey(event.KeyCurve25519, seed)
		return hold(must(t, k, err)), seed[:]
	},
	"log/vrf.PrivateKey": func(t *testing.T, seed [32]byte) (held, []byte) {
		return hold(vrf.NewPrivateKey(seed)), seed[:]
	},
	"log/checkpoint.Signer": func(t *testing.T, seed [32]byte) (held, []byte) {
		s, err := checkpoint.NewSigner("example.org/log", seed)
		return hold(must(t, s, err)), seed[:]
	},
	"log/checkpoint.Cosigner": func(t *testing.T, seed [32]byte) (held, []byte) {
		c, err := checkpoint.NewCosigner(checkpoint.MLDSA44, "w.example.org", seed)
		h := hold(must(t, c, err))
		c, err = checkpoint.NewCosigner(checkpoint.Cosignature, "w.example.org", seed)
		h2 := hold(must(t, c, err))
		return held{append(h.direct, h2.direct...), append(h.inside, h2.inside...)}, seed[:]
	},
	"api/credential.Token": func(*testing.T, [32]byte) (held, []byte) {
		token := credential.NewToken()
		return hold(&token), []byte(token.Reveal())
	},
}

func must[T any](t *testing.T, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// held is a secret by itself, and inside other things.
type held struct{ direct, inside []any }

type holder[T any] struct {
	Value   T
	Pointer *T
	Any     any
	value   T
	pointer *T
	any     any
	list    []T
}

func hold[T any](p *T) held {
	h := holder[T]{*p, p, *p, *p, p, p, []T{*p}}
	return held{[]any{*p, p}, []any{h, &h, []T{*p}, []*T{p}, [1]T{*p}, map[string]T{"k": *p}, map[string]*T{"k": p}, struct{ any }{p}, &p, fmt.Errorf("with %v and %w", *p, errors.New("that")), func() any { return *p }}}
}

// TestSecretsAreRedacted: every secret type prints as the word REDACTED whatever
// prints it, and nothing that holds one shows what it is.
func TestSecretsAreRedacted(t *testing.T) {
	for name, make := range secretTypes {
		var seed [32]byte
		copy(seed[:], randomBytes(32))
		h, secret := make(t, seed)
		expanded := sha512.Sum512(seed[:]) // the scalar of Ed25519 and of the VRF, but for its clamped ends
		canaries := []*canary{{"secret", "", secret}, {"Ed25519 key", "", ed25519.NewKeyFromSeed(seed[:])[:32]}, {"scalar", "", expanded[1:31]}, {"nonce key", "", expanded[32:]}}
		var said bytes.Buffer
		for _, verb := range verbs() {
			for _, v := range h.direct {
				got := fmt.Sprintf(verb, v)
				if kind := verb[len(verb)-1]; got != "REDACTED" && !strings.ContainsRune("Tpw", rune(kind)) { // for these fmt asks no method
					t.Errorf("%s of %T is %q", verb, v, got)
				}
			}
			for _, v := range append(h.inside, h.direct...) {
				fmt.Fprintf(&said, verb+"\n", v)
			}
		}
		for _, v := range h.direct {
			j, err := json.Marshal(v)
			text, err2 := v.(encoding.TextMarshaler).MarshalText()
			got := fmt.Sprintf("%s %s %s %s", v.(fmt.Stringer).String(), v.(fmt.GoStringer).GoString(), text, j)
			if want := `REDACTED REDACTED REDACTED "REDACTED"`; err != nil || err2 != nil || got != want {
				t.Errorf("%T is %s, %v, %v", v, got, err, err2)
			}
		}
		for _, v := range append(h.inside, h.direct...) {
			encode(&said, v)
		}
		for found, at := range newSearch(canaries).in(said.Bytes()) {
			t.Errorf("%s: the %s is printed as %s: …%q", name, found.kind, found.spelling, said.Bytes()[max(0, at-40):at+20])
		}
		if strings.Count(said.String(), "REDACTED") < len(verbs()) {
			t.Errorf("%s: REDACTED is printed %d times: is anything printed?", name, strings.Count(said.String(), "REDACTED"))
		}
	}
}

// verbs are all letters, with what may stand before them.
func verbs() (all []string) {
	for _, flags := range []string{"", "+", "#", "# "} {
		for c := 'A'; c <= 'z'; c++ {
			if c <= 'Z' || c >= 'a' {
				all = append(all, "%"+flags+string(c))
			}
		}
	}
	return all
}

// encode hands v to all that writes values. Who cannot write it says so.
func encode(out *bytes.Buffer, v any) {
	for _, encoder := range []interface{ Encode(any) error }{json.NewEncoder(out), xml.NewEncoder(out), gob.NewEncoder(out)} {
		if err := encoder.Encode(v); err != nil {
			fmt.Fprintln(out, err)
		}
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(out, nil), slog.NewJSONHandler(out, nil)} {
		slog.New(handler).With("with", v).Error("said", "v", v, slog.Group("g", "v", v))
	}
	if err := template.Must(template.New("").Parse("{{.}} {{printf \"%x\" .}}\n")).Execute(out, v); err != nil {
		fmt.Fprintln(out, err)
	}
	func() {
		defer func() { fmt.Fprintln(out, recover()) }()
		panic(v)
	}()
}

// rawSecret is what only a type of secretTypes may hold: other packages' keys, and
// fields that say what they are.
var rawSecret = regexp.MustCompile(`^(?:func\(\) )?\*?(ed25519\.PrivateKey|mldsa\.PrivateKey|edwards25519\.Scalar|ecdh\.PrivateKey)$`)
var secretName = regexp.MustCompile(`(?i)^(seed|secret|private|password)$`)

// TestAllSecretTypesAreKnown: a type that redacts itself, or holds what must be
// redacted, is in the table above.
func TestAllSecretTypesAreKnown(t *testing.T) {
	const root = "../.."
	found := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if e.IsDir() && (e.Name() == "testdata" || strings.HasPrefix(e.Name(), ".") && path != root) {
			return fs.SkipDir
		}
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		pkg, err := filepath.Rel(root, filepath.Dir(path))
		for _, name := range secretsOf(f) {
			found[pkg+"."+name] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// What the others embed.
	delete(found, "log/checkpoint.redacted")
	if got, want := slices.Sorted(maps.Keys(found)), slices.Sorted(maps.Keys(secretTypes)); !slices.Equal(got, want) {
		t.Errorf("secret types in the tree: %q\nin the table: %q", got, want)
	}
}

// secretsOf are the names of a file's types that hold a secret or redact it.
func secretsOf(f *ast.File) (names []string) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv != nil && n.Name.Name == "Format" {
				names = append(names, strings.TrimPrefix(types.ExprString(n.Recv.List[0].Type), "*"))
			}
		case *ast.TypeSpec:
			s, ok := n.Type.(*ast.StructType)
			if !ok {
				break
			}
			for _, field := range s.Fields.List {
				typ := types.ExprString(field.Type)
				if rawSecret.MatchString(typ) || typ == "redacted" ||
					slices.ContainsFunc(field.Names, func(i *ast.Ident) bool { return secretName.MatchString(i.Name) }) {
					names = append(names, n.Name.Name)
				}
			}
		}
		return true
	})
	return names
}
