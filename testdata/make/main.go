// Command make writes the test vectors in testdata/vectors anew, or to another
// folder. It is run in the root of the repository:
//
//	go run ./testdata/make [folder]
//
// Nothing in them is drawn at random and nothing reads a clock, so each run
// writes the same bytes. testdata/README.md says what every member means.
//
// What a vector expects is written here by hand, or follows from a model that
// shares nothing with the code under test but its hashes; only proofs and
// answers are made by the code itself. Where the code judges otherwise than
// the vector says, this program stops and writes nothing.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/musterlog/muster/log/name"
)

const (
	origin = name.Origin("keys.example.org/log1")
	start  = uint64(1_790_000_000_000) // POSIX milliseconds
)

func main() {
	folder := filepath.Join("testdata", "vectors")
	if len(os.Args) > 1 {
		folder = os.Args[1]
	}
	files := []struct {
		name  string
		value any
	}{
		{"events.json", events()},
		{"leaves.json", leaves()},
		{"openings.json", openings()},
		{"prefix.json", prefixes()},
		{"ladders.json", ladders()},
		{"answers.json", answers()},
		{"codes.json", codes()},
		{"published.json", receipts()},
	}
	for _, f := range files {
		data, err := encode(f.value)
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, f.name), data, 0o644)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "make: writing %s: %v\n", f.name, err)
			os.Exit(1)
		}
	}
}

// width is how long a line may be before its value is broken into parts.
const width = 240

// encode is a file's bytes: a value that fits a line stands in one.
func encode(value any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err := lay(&out, bytes.TrimSpace(b.Bytes()), 0)
	out.WriteByte('\n')
	return out.Bytes(), err
}

// lay writes one compact JSON value, a part a line where it is long.
func lay(out *bytes.Buffer, value json.RawMessage, depth int) error {
	if len(value) <= width || value[0] == '"' {
		out.Write(value)
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(value))
	if _, err := d.Token(); err != nil {
		return err
	}
	out.WriteByte(value[0])
	for i := 0; d.More(); i++ {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString("\n" + strings.Repeat(" ", depth+1))
		var part json.RawMessage
		if value[0] == '{' {
			key, err := d.Token()
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "%q:", key)
		}
		if err := d.Decode(&part); err != nil {
			return err
		}
		if err := lay(out, part, depth+1); err != nil {
			return err
		}
	}
	out.WriteString("\n" + strings.Repeat(" ", depth))
	out.WriteByte(value[len(value)-1])
	return nil
}

// hexed is bytes that people compare by eye: names, keys, hashes.
type hexed []byte

func (h hexed) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

// based is bytes that are too long for that.
type based []byte

func (b based) MarshalText() ([]byte, error) {
	return []byte(base64.StdEncoding.EncodeToString(b)), nil
}

// must is for what fails only if this program is wrong.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// agree stops the program where the code under test judges a vector otherwise.
func agree(ok bool, format string, args ...any) {
	if !ok {
		panic(fmt.Sprintf(format, args...))
	}
}
