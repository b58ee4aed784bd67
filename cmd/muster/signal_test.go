package main

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// signalFile is testdata/libsignal: accounts whose keys, signatures and safety
// numbers were made by Signal's own library.
const signalFile = "../../testdata/libsignal/accounts.ndjson"

type signalAccounts struct {
	order   []string
	devices map[string][]deviceJSON // after the account's newest event
	seq     map[string]uint32
	codes   []signalCode
}

type signalCode struct {
	Code    string
	Between [2]string
	Keys    [2]string
}

func readSignal(t *testing.T) *signalAccounts {
	t.Helper()
	f, err := os.Open(signalFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := &signalAccounts{devices: map[string][]deviceJSON{}, seq: map[string]uint32{}}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var row struct {
			signalCode
			Identifier string
			Seq        uint32
			Devices    [][2]any
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		if row.Code != "" {
			all.codes = append(all.codes, row.signalCode)
			continue
		}
		if !slices.Contains(all.order, row.Identifier) {
			all.order = append(all.order, row.Identifier)
		}
		list := []deviceJSON{}
		for _, d := range row.Devices {
			list = append(list, deviceJSON{uint32(d[0].(float64)), d[1].(string)})
		}
		all.devices[row.Identifier], all.seq[row.Identifier] = list, row.Seq
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(all.order) != 40 || len(all.codes) != 20 {
		t.Fatalf("%s has %d accounts and %d codes, want 40 and 20", signalFile, len(all.order), len(all.codes))
	}
	return all
}

// TestSignalAccounts: what Signal's library signed is logged, and what is read
// back, verified, are the same devices and the same safety numbers.
func TestSignalAccounts(t *testing.T) {
	all := readSignal(t)
	dir := filepath.Join(t.TempDir(), "log")
	server := mustServe(t, dir, "--init", "--origin", "example.org/muster-vectors", "--epoch", "5ms", "--heartbeat", "1h")
	reader := clientOf(t, server.url, filepath.Join(dir, "policy"))
	submit := func() {
		t.Helper()
		s := mustMuster(t, "submit", "--log", server.url, signalFile)
		if want := "170 accepted, 0 refused, 20 lines without an event skipped\n"; s.out != want || s.err != "" {
			t.Errorf("submit said %q and %q, want %q", s.out, s.err, want)
		}
	}
	size := func() uint64 {
		t.Helper()
		return decode[devicesJSON](t, mustMuster(t, reader("devices", "nobody", "--json")...)).Checkpoint.Size
	}
	check := func(status string) {
		t.Helper()
		for _, id := range all.order {
			got := decode[devicesJSON](t, mustMuster(t, reader("devices", id, "--json")...))
			if got.Seq != all.seq[id] || !slices.Equal(got.Devices, all.devices[id]) || got.Status != status {
				t.Errorf("%s: %s, seq %d, devices %v; want %s, %d, %v", id, got.Status, got.Seq, got.Devices, status, all.seq[id], all.devices[id])
			}
		}
	}

	submit()
	check("new")
	for _, id := range all.order {
		got := decode[verifyJSON](t, mustMuster(t, reader("verify", id, "--json")...))
		if uint32(len(got.Events)) != all.seq[id]+1 {
			t.Errorf("verify %s shows %d events, want %d", id, len(got.Events), all.seq[id]+1)
		}
	}
	for _, want := range all.codes {
		got := decode[codeJSON](t, mustMuster(t, reader("code", want.Between[0], want.Between[1], "--json")...))
		if got.Code != want.Code || !slices.Equal(got.Between, want.Between[:]) {
			t.Errorf("code of %v is %s, Signal says %s", got.Between, got.Code, want.Code)
		}
		for i, id := range want.Between {
			if d := decode[devicesJSON](t, mustMuster(t, reader("devices", id, "--json")...)); d.Primary != want.Keys[i] {
				t.Errorf("primary key of %s is %s, want %s", id, d.Primary, want.Keys[i])
			}
		}
	}

	before := size()
	submit()
	if after := size(); after != before {
		t.Errorf("submitting again made the log grow from %d to %d leaves", before, after)
	}
	check("unchanged")
}

func decode[T any](t *testing.T, s said) (v T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(s.out))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, s.out)
	}
	return v
}
