// Package tile names the public files of a log, as C2SP tlog-tiles does: hash
// tiles and entry bundles. Server and client share it, so that each path has
// one spelling:
//
//	/tile/0/x001/x234/067       256 hashes of level 0, from leaf 1234067·256 on
//	/tile/1/000.p/17            17 hashes of level 1, each over 256 leaves
//	/tile/entries/x001/234.p/8  8 leaves, from leaf 1234·256 on
package tile

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

const (
	// Full is the width of a full tile, in hashes, and of a full bundle, in
	// entries. A full one never changes and has no suffix in its path.
	Full = 256

	// HashSize is the bytes of one hash in a tile: SHA-256.
	HashSize = 32

	maxLevel = 63
	// maxN: a tree has fewer than 2^63 leaves (protocol section 0), so no level
	// has a tile of this number.
	maxN = 1 << 55
	// maxPath is longer than any path of a tile: five groups and a suffix.
	maxPath = 64
)

// Path is the name of a hash tile or of an entry bundle.
type Path struct {
	Entries bool   // an entry bundle; its level is 0
	Level   int    // 0..63: a hash here covers 256^Level leaves
	N       uint64 // which one of its level, from 0
	Width   int    // 1..256 hashes or entries; less than 256: a partial one
}

// String is the path from the log's base URL on, with a leading slash.
func (p Path) String() string {
	level := strconv.Itoa(p.Level)
	if p.Entries {
		level = "entries"
	}
	s := "/tile/" + level + "/" + groups(p.N)
	if p.Width < Full {
		s += ".p/" + strconv.Itoa(p.Width)
	}
	return s
}

// groups writes n in groups of three digits, all but the last with an "x":
// 1234067 is x001/x234/067.
func groups(n uint64) string {
	s := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		s = fmt.Sprintf("x%03d/%s", n%1000, s)
	}
	return s
}

// Parse reads a path in its one spelling. What it reads loosely, such as
// leading zeros, a sign or ".p/256", it refuses for not being what String
// writes.
func Parse(path string) (Path, error) {
	if len(path) > maxPath {
		return Path{}, fmt.Errorf("path of %d bytes: want at most %d", len(path), maxPath)
	}
	rest, ok := strings.CutPrefix(path, "/tile/")
	if !ok {
		return Path{}, refuse(path)
	}
	level, rest, _ := strings.Cut(rest, "/")
	number, width, partial := strings.Cut(rest, ".p/")
	p := Path{Entries: level == "entries", Width: Full}
	var err error
	if !p.Entries {
		if p.Level, err = strconv.Atoi(level); err != nil {
			return Path{}, refuse(path)
		}
	}
	if partial {
		if p.Width, err = strconv.Atoi(width); err != nil {
			return Path{}, refuse(path)
		}
	}
	if p.N, err = strconv.ParseUint(strings.NewReplacer("x", "", "/", "").Replace(number), 10, 64); err != nil {
		return Path{}, refuse(path)
	}
	if p.Check() != nil || p.String() != path {
		return Path{}, refuse(path)
	}
	return p, nil
}

func refuse(path string) error {
	return fmt.Errorf("path %q: want /tile/<level>/<n> or /tile/entries/<n>, as in C2SP tlog-tiles", path)
}

// Check refuses a path that no tile can have.
func (p Path) Check() error {
	switch {
	case p.Level < 0 || p.Level > maxLevel || p.Entries && p.Level != 0:
		return fmt.Errorf("tile level %d: want 0 to %d, and 0 for entries", p.Level, maxLevel)
	case p.Width < 1 || p.Width > Full:
		return fmt.Errorf("tile width %d: want 1 to %d", p.Width, Full)
	case p.N >= maxN:
		return fmt.Errorf("tile number %d: want less than 2^55", p.N)
	}
	return nil
}

// CheckData refuses bytes that cannot be the content of p: a tile is exactly
// its hashes, a bundle exactly its entries. Whether they are the right ones,
// the tree's root tells.
func (p Path) CheckData(data []byte) error {
	if p.Entries {
		_, err := CutEntries(data, p.Width)
		return err
	}
	if len(data) != p.Width*HashSize {
		return fmt.Errorf("tile of %d bytes: want %d hashes of %d", len(data), p.Width, HashSize)
	}
	return nil
}

// CutEntries cuts an entry bundle, width times (u16 length || entry), into its
// entries: leaves of the log. They share memory with the bundle.
func CutEntries(bundle []byte, width int) ([][]byte, error) {
	if width < 1 || width > Full {
		return nil, fmt.Errorf("bundle of %d entries: want 1 to %d", width, Full)
	}
	entries := make([][]byte, 0, width)
	rest := bundle
	for i := range width {
		if len(rest) < 2 {
			return nil, fmt.Errorf("bundle ends before entry %d of %d", i, width)
		}
		n := int(binary.BigEndian.Uint16(rest))
		rest = rest[2:]
		if len(rest) < n {
			return nil, fmt.Errorf("bundle ends within entry %d of %d", i, width)
		}
		entries = append(entries, rest[:n:n])
		rest = rest[n:]
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("bundle has %d bytes after its %d entries", len(rest), width)
	}
	return entries, nil
}

// AppendEntry appends an entry of at most 65,535 bytes, as every leaf is, to a
// bundle.
func AppendEntry(bundle, entry []byte) []byte {
	bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(entry)))
	return append(bundle, entry...)
}
