package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/musterlog/muster/api/tile"
	"github.com/musterlog/muster/log/durable"
)

// importCursor is how far an input is imported: every event before it is
// answered for good. What is behind it may be logged too; it is sent again.
type importCursor struct {
	Log string `json:"log"` // its origin
	position
	Refused      uint64 `json:"refused"`       // events
	RefusedBytes int64  `json:"refused_bytes"` // in the file of their bodies; noFile: none is kept
}

// noFile stands where an import keeps no refused events: a file that is named to a
// later run is not its own.
const noFile = -1

// loadCursor reads a cursor; there is none before a first import.
func loadCursor(path, log string) (*importCursor, error) {
	c := &importCursor{Log: log, RefusedBytes: noFile}
	if path == "" {
		return c, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err == nil {
		err = json.Unmarshal(data, c)
	}
	if err != nil {
		return nil, fmt.Errorf("reading how far the last import came: %s: %w", path, err)
	}
	if c.Log != log {
		return nil, fmt.Errorf("%s is of an import into %s, this log is %s: choose another --cursor", path, c.Log, log)
	}
	return c, nil
}

// save makes a cursor durable. What it counts is durable before.
func (c *importCursor) save(path string) error {
	if path == "" {
		return nil
	}
	data, err := json.Marshal(c)
	if err == nil {
		err = durable.Replace(path, append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("keeping how far the import came: %w", err)
	}
	return nil
}

// refusedFile holds the refused events, as an import reads them: exactly those
// before its cursor.
type refusedFile struct {
	*os.File
	bytes int64
}

// openRefused opens the file for what follows a cursor: what an import that was
// killed wrote behind it comes again.
func openRefused(path string, c *importCursor) (*refusedFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the file for refused events: %w", err)
	}
	info, err := f.Stat()
	if err == nil && c.RefusedBytes < 0 && info.Size() > 0 {
		err = fmt.Errorf("%s is there already: choose another --refused", path)
	}
	c.RefusedBytes = max(c.RefusedBytes, 0) // from here on there is one
	if err == nil && info.Size() < c.RefusedBytes {
		err = fmt.Errorf("%s has %d bytes, the import's cursor counts %d: is it another file?", path, info.Size(), c.RefusedBytes)
	}
	if err == nil {
		err = f.Truncate(c.RefusedBytes)
	}
	if err == nil {
		_, err = f.Seek(c.RefusedBytes, 0)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &refusedFile{f, c.RefusedBytes}, nil
}

func (f *refusedFile) add(body []byte) error {
	if f == nil {
		return nil
	}
	n, err := f.Write(tile.AppendEntry(nil, body))
	f.bytes += int64(n)
	return err
}

// written is how many bytes the file has.
func (f *refusedFile) written() int64 {
	if f == nil {
		return noFile
	}
	return f.bytes
}

func (f *refusedFile) sync() error {
	if f == nil {
		return nil
	}
	return f.Sync()
}
