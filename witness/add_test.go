package witness_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/witness"
)

const zeroHash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

// TestBodies: every malformed body is 400, whatever else is wrong with it, and
// changes nothing. The named witnesses accept what stands before their names.
func TestBodies(t *testing.T) {
	l := newLog("example.org/any").grow(9, "main")
	r := newRig(t, l)
	r.want(http.StatusOK, l.body(0, 5))
	good := l.body(5, 9)
	note := l.note(9)
	swap := func(old, new string) string {
		t.Helper()
		if !strings.Contains(good, old) {
			t.Fatalf("no %q in the good body", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	proof := l.proof(5, 9)
	signed := func(text string) string { return request(5, proof, l.sign(text)) }
	root := l.root(9).String()
	padded := root[:42] + string(root[42]+1) + "=" // padding bits set, if the last digit has room for them
	if b, err := base64.StdEncoding.DecodeString(padded); err != nil || !bytes.Equal(b, func() []byte { h := l.root(9); return h[:] }()) {
		t.Fatalf("%q is no second spelling of the root", padded)
	}
	for name, body := range map[string]string{
		"nothing":                       "",
		"one line break":                "\n",
		"two line breaks":               "\n\n",
		"no old line":                   swap("old 5\n", ""),
		"an empty line first":           "\n" + good,
		"a space first":                 " " + good,
		"OLD":                           swap("old 5", "OLD 5"),
		"old without a size":            swap("old 5", "old"),
		"old and a space":               swap("old 5", "old "),
		"a plus sign (litewitness)":     swap("old 5", "old +5"),
		"a leading zero (both)":         swap("old 5", "old 05"),
		"a minus sign":                  swap("old 5", "old -5"),
		"minus zero":                    swap("old 5", "old -0"),
		"two zeros":                     swap("old 5", "old 00"),
		"two spaces (omniwitness)":      swap("old 5", "old  5"),
		"a tab":                         swap("old 5", "old\t5"),
		"a space at the end":            swap("old 5", "old 5 "),
		"junk behind (omniwitness)":     swap("old 5", "old 5 7"),
		"CR LF (omniwitness)":           swap("old 5\n", "old 5\r\n"),
		"hexadecimal":                   swap("old 5", "old 0x5"),
		"a fraction":                    swap("old 5", "old 5.0"),
		"an underscore":                 swap("old 5", "old 5_0"),
		"digits of another script":      swap("old 5", "old ٥"),
		"2^63":                          swap("old 5", "old 9223372036854775808"),
		"2^64 + 5":                      swap("old 5", "old 18446744073709551621"),
		"64 hashes":                     request(5, strings.Repeat(zeroHash+"\n", 64), note),
		"a hash with CR":                swap(proof[:44]+"\n", proof[:44]+"\r\n"),
		"a hash without padding":        swap(proof[:44], proof[:43]),
		"a hash of 31 bytes":            swap(proof[:44], base64.StdEncoding.EncodeToString(make([]byte, 31))),
		"a hash of 33 bytes":            swap(proof[:44], base64.StdEncoding.EncodeToString(make([]byte, 33))),
		"a hash in base64url":           swap(proof[:44], strings.Repeat("_", 42)+"8="),
		"a hash with padding bits":      request(5, strings.Repeat("A", 42)+"B=\n", note),
		"a hash in hexadecimal":         swap(proof[:44], strings.Repeat("0", 64)),
		"a hash with a space before":    swap(proof[:44], " "+proof[:44]),
		"an empty line in the proof":    request(5, "\n"+proof, note),
		"no empty line after the proof": "old 5\n" + proof + note,
		"two empty lines":               request(5, proof+"\n", note),
		"no checkpoint":                 request(5, proof, ""),
		"no signature":                  request(5, proof, l.text(9)),
		"no signature, an empty line":   request(5, proof, l.text(9)+"\n"),
		"no line break at the end":      strings.TrimSuffix(good, "\n"),
		"junk at the end":               good + "x",
		"a line of junk at the end":     good + "x\n",
		"an empty line at the end":      good + "\n",
		"a hyphen for the dash":         swap("— ", "- "),
		"CR in the checkpoint":          signed(fmt.Sprintf("%s\n9\r\n%s\n", l.origin, root)),
		"size 09 (omniwitness)":         signed(fmt.Sprintf("%s\n09\n%s\n", l.origin, root)),
		"size +9":                       signed(fmt.Sprintf("%s\n+9\n%s\n", l.origin, root)),
		"size 2^63":                     signed(fmt.Sprintf("%s\n9223372036854775808\n%s\n", l.origin, root)),
		"no root":                       signed(fmt.Sprintf("%s\n9\n", l.origin)),
		"root of 31 bytes":              signed(fmt.Sprintf("%s\n9\n%s\n", l.origin, base64.StdEncoding.EncodeToString(make([]byte, 31)))),
		"no origin":                     signed(fmt.Sprintf("\n9\n%s\n", root)),
		"a control character":           signed(l.text(9) + "extension\x01\n"),
		"not UTF-8":                     signed(l.text(9) + "extension\xff\n"),
		"101 signatures":                request(5, proof, note+strings.Repeat("— x AAAAAAAA\n", 100)),
		"a signature of no bytes":       request(5, proof, note+"— x AAAA\n"),

		"an empty extension line (omniwitness)":     signed(l.text(9) + "\n"),
		"an empty extension line between others":    signed(l.text(9) + "a\n\nb\n"),
		"a root with padding bits (litewitness)":    signed(fmt.Sprintf("%s\n9\n%s\n", l.origin, padded)),
		"an unknown origin does not come before it": request("+5", "", newLog("unknown.example").note(0)),
	} {
		if a := r.add(body); a.Status != http.StatusBadRequest || !strings.HasPrefix(string(a.Body), "reading request: ") {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	// The recorded size has not moved.
	r.want(http.StatusOK, good)
}

// TestStatus: each row of C2SP's table, and that it goes before those below.
func TestStatus(t *testing.T) {
	l := newLog("example.org/any").grow(16, "main")
	other := newLog("example.org/other").grow(16, "main")
	unknown := newLog("example.org/unknown").grow(8, "main")
	fork := newLog(l.origin).grow(4, "main").grow(12, "fork")
	r := newRig(t, l, other)
	r.want(http.StatusOK, l.body(0, 8))
	conflict := func(size string) string {
		return fmt.Sprintf("%d %s %s\n", http.StatusConflict, "text/x.tlog.size", size)
	}
	note, proof := l.note(12), l.proof(8, 12)
	bad := func(note string) string { // the last signature, broken
		i := strings.LastIndex(note, " ") + 20
		c := byte('A')
		if note[i] == c {
			c = 'B'
		}
		return note[:i] + string(c) + note[i+1:]
	}
	// Signed by a key that is known, for another origin.
	stolen := func(text string) string {
		line := other.line(text)
		return text + "\n" + line
	}
	named := func(text string) string { // that key's signature, under this log's name and key id
		return text + "\n" + strings.Replace(l.line(text), l.line(text)[len("— "+l.origin+" "):], base64.StdEncoding.EncodeToString(join(l.id, func() []byte {
			b, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(other.line(text)[len("— "+other.origin+" "):]))
			return b[4:]
		}()))+"\n", 1)
	}
	huge := fmt.Sprintf("%s\n%d\n%s\n", l.origin, uint64(1<<63-1), zeroHash)

	for _, c := range []struct{ name, body, want string }{
		{"404", unknown.body(0, 8), "404"},
		{"404 before 403", request(0, "", bad(unknown.note(8))), "404"},
		{"404 before 400 and 409", request(9, "", unknown.note(8)), "404"},

		{"403: broken", request(8, proof, bad(note)), "403"},
		{"403: no line by the log", request(8, proof, l.text(12)+"\n— somebody AAAAAAAA\n"), "403"},
		{"403: only another key of that name", request(8, proof, l.text(12)+"\n— "+l.origin+" "+base64.StdEncoding.EncodeToString(make([]byte, 68))+"\n"), "403"},
		{"403: a key of another log (sig-other-logs-key)", request(8, proof, stolen(l.text(12))), "403"},
		{"403: a key of another log under this one's id (sig-cross-origin)", request(8, proof, named(l.text(12))), "403"},
		{"403: the log's line of another size", request(8, proof, l.text(12)+"\n"+l.line(l.text(11))), "403"},
		{"403: good, then bad (x/mod drops the second)", request(8, proof, note+bad(note)[len(l.text(12))+1:]), "403"},
		{"403: bad, then good", request(8, proof, bad(note)+l.line(l.text(12))), "403"},
		{"403: twice good", request(8, proof, note+l.line(l.text(12))), "403"},
		{"403 before 400", request(13, "", bad(note)), "403"},
		{"403 before 409", request(7, "", bad(note)), "403"},

		{"400: old above the checkpoint's size", request(13, "", note), "400"},
		{"400 before 409: the same at a size that is not recorded", request(7, "", l.note(6)), "400"},

		{"409: never seen by the client", l.body(0, 12), conflict("8")},
		{"409: behind", l.body(7, 12), conflict("8")},
		{"409: ahead", l.body(10, 12), conflict("8")},
		{"409: an older checkpoint", l.body(6, 7), conflict("8")},
		{"409 before 422", request(7, zeroHash+"\n", fork.note(8)), conflict("8")},
		{"409: nothing recorded of this log", other.body(8, 12), conflict("0")},
		{"409: size 0 after 8", l.body(0, 0), conflict("8")},

		{"422: size 0 with a root (litewitness signs it)", request(0, "", other.sign(other.origin+"\n0\n"+zeroHash+"\n")), "422"},
		{"422: a proof from size 0 (litewitness ignores it)", request(0, zeroHash+"\n", other.note(8)), "422"},
		{"422: no proof", request(8, "", note), "422"},
		{"422: a wrong proof", request(8, l.proof(7, 12), note), "422"},
		{"422: a hash too many", request(8, proof+zeroHash+"\n", note), "422"},
		{"422: 63 hashes", request(8, strings.Repeat(zeroHash+"\n", 63), l.sign(huge)), "422"},
		{"422: a fork with its own proof", request(8, fork.proof(8, 12), fork.note(12)), "422"},
		{"422: a fork with the log's proof", request(8, proof, fork.note(12)), "422"},
		{"422: another root of the recorded size (409 in v1.0.0)", fork.body(8, 8), "422"},
		{"422: a proof from a size to itself", request(8, zeroHash+"\n", l.note(8)), "422"},
	} {
		a := r.add(c.body)
		got := fmt.Sprint(a.Status)
		if a.Status == http.StatusConflict {
			got = fmt.Sprintf("%d %s %s", a.Status, a.ContentType, a.Body)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q (%s)", c.name, got, c.want, a.Body)
		}
		if len(a.Body) == 0 || a.Body[len(a.Body)-1] != '\n' {
			t.Errorf("%s: body %q, want one that ends with a line break", c.name, a.Body)
		}
	}

	// After all this, the log goes on, with lines of strangers beside its own.
	a := r.want(http.StatusOK, request(8, proof, note+"— somebody AAAAAAAA\n— somebody AAAAAAAA\n"))
	r.times(a, l.text(12), both...)
	if strings.Contains(string(r.Newest(l.origin)), "somebody") {
		t.Error("a stranger's line is shown")
	}
	r.want(http.StatusOK, other.body(0, 16))
}

// TestEverySize: growth between any two sizes, also from the empty tree and
// powers of two, with the proofs of another library.
func TestEverySize(t *testing.T) {
	const size = 17
	var logs []*testLog
	for from := range int64(size) {
		for to := from; to <= size; to++ {
			logs = append(logs, newLog(fmt.Sprintf("example.org/%d/%d", from, to)).grow(size, "main"))
		}
	}
	r := newRig(t, logs...)
	for _, l := range logs {
		var from, to int64
		if _, err := fmt.Sscanf(l.origin, "example.org/%d/%d", &from, &to); err != nil {
			t.Fatal(err)
		}
		r.times(r.want(http.StatusOK, l.body(0, from)), l.text(from), both...)
		r.times(r.want(http.StatusOK, l.body(from, to)), l.text(to), both...)
	}
}

// TestRefresh: the same checkpoint again gets a new time, and the time never
// falls, whatever the clock does and across restarts; it is in seconds.
func TestRefresh(t *testing.T) {
	l := newLog("example.org/any").grow(9, "main")
	r := newRig(t, l)
	at := func(body string, size int64) uint64 {
		t.Helper()
		times := r.times(r.want(http.StatusOK, body), l.text(size), both...)
		if times[0] != times[1] {
			t.Fatalf("times %v of one answer differ", times)
		}
		return times[0]
	}
	zero := uint64(start.Unix())
	if got := at(l.body(0, 5), 5); got != zero {
		t.Errorf("time %d, want %d", got, zero)
	}
	r.now = start.Add(90 * time.Second)
	if got := at(l.body(5, 5), 5); got != zero+90 {
		t.Errorf("time of a refresh %d, want %d", got, zero+90)
	}
	r.now = start.Add(-time.Hour)
	if got := at(l.body(5, 5), 5); got != zero+90 {
		t.Errorf("time of a refresh by a clock that was set back %d, want %d", got, zero+90)
	}
	r.restart()
	if got := at(l.body(5, 9), 9); got != zero+90 {
		t.Errorf("time after a restart by that clock %d, want %d", got, zero+90)
	}
	r.now = start.Add(2 * time.Hour)
	if got := at(l.body(9, 9), 9); got != zero+7200 {
		t.Errorf("time of a refresh by a clock that is right again %d, want %d", got, zero+7200)
	}
}

// TestEpochClock: a clock of 1970 gives no time 0, which C2SP forbids.
func TestEpochClock(t *testing.T) {
	l := newLog("example.org/any").grow(1, "main")
	for _, now := range []time.Time{time.Unix(0, 0), time.Unix(-5, 0)} {
		r := newRig(t, l)
		r.now = now
		if got := r.times(r.want(http.StatusOK, l.body(0, 1)), l.text(1), both...); got[0] != 1 {
			t.Errorf("time %d, want 1", got[0])
		}
	}
}

// TestExtensionLines: what is cosigned is the whole text, and the ML-DSA-44
// key, which would not cover all of it, says nothing.
func TestExtensionLines(t *testing.T) {
	l := newLog("example.org/any").grow(9, "main")
	r := newRig(t, l)
	text := l.text(5) + "extension 1\nextension 2\n"
	a := r.want(http.StatusOK, request(0, "", l.sign(text)))
	r.times(a, text, checkpoint.Cosignature)
	if _, err := verify(a.Body, l.text(5), checkpoint.Cosignature); err == nil {
		t.Error("the cosignature is for the first three lines alone")
	}
	r.restart()
	r.times(r.want(http.StatusOK, l.body(5, 9)), l.text(9), both...)
}

// TestForeignOrigins: origins that muster's own logs may not have.
func TestForeignOrigins(t *testing.T) {
	for _, origin := range []string{"muster/x", "日志.example", strings.Repeat("o", 255), "1"} {
		l := newLog(origin).grow(3, "main")
		r := newRig(t, l)
		r.times(r.want(http.StatusOK, l.body(0, 2)), l.text(2), both...)
		r.restart()
		r.times(r.want(http.StatusOK, l.body(2, 3)), l.text(3), both...)
	}
}

// TestTwoKeys: a log that changes its key signs with either or with both, and
// has one state.
func TestTwoKeys(t *testing.T) {
	l := newLog("example.org/any").grow(9, "main")
	next := newLogWith(l.origin, newLog("its next key").private).grow(9, "main")
	r := newRig(t, l, next)
	r.want(http.StatusOK, l.body(0, 3))
	r.want(http.StatusConflict, next.body(0, 4))
	r.want(http.StatusOK, next.body(3, 4))
	r.want(http.StatusOK, request(4, l.proof(4, 9), l.note(9)+next.line(l.text(9))))
	r.want(http.StatusForbidden, request(9, "", l.note(9)+next.line(l.text(8))))
	if got := string(r.Newest(l.origin)); strings.Count(got, "— "+l.origin+" ") != 2 {
		t.Errorf("shown without the lines of both keys:\n%s", got)
	}
}

func TestKeys(t *testing.T) {
	r := newRig(t, newLog("example.org/any"))
	keys := r.Keys()
	if len(keys) != 2 || keys[0].Type != checkpoint.Cosignature || keys[1].Type != checkpoint.MLDSA44 {
		t.Errorf("keys %v", keys)
	}
}

// FuzzParse: there is one spelling of each request.
func FuzzParse(f *testing.F) {
	l := newLog("example.org/any").grow(9, "main")
	f.Add([]byte(l.body(0, 5)))
	f.Add([]byte(l.body(5, 9)))
	f.Add([]byte(request(0, "", l.sign(l.text(3)+"extension\n"))))
	f.Fuzz(func(t *testing.T, body []byte) {
		if again, err := witness.Parse(body); err == nil && !bytes.Equal(again, body) {
			t.Errorf("%q is read as %q", body, again)
		}
	})
}
