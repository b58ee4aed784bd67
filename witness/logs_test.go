package witness_test

import (
	"strings"
	"testing"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/witness"
)

func TestParseLogs(t *testing.T) {
	a, b := newLog("example.org/a"), newLog("日志.example")
	next := newLogWith(a.origin, newLog("its next key").private)
	mldsa := cosigner(checkpoint.MLDSA44).Key().String()
	w := cosigner(checkpoint.Cosignature).Key().String()
	text := "# logs\n\n  \t\nlog " + a.vkey() + "\n\tlog\t" + b.vkey() + "  https://example.org/b/\n#log x\n" +
		"log " + next.vkey() + "\nlog " + mldsa + "\nwitness w1 " + w + " https://example.net\ngroup g all w1\nquorum g\n"
	logs, err := witness.ParseLogs([]byte(text))
	if err != nil || len(logs) != 3 {
		t.Fatalf("%v, %d logs, want 3", err, len(logs))
	}
	if logs[0].Key.String() != a.vkey() || logs[0].URL != "" || logs[1].Key.String() != b.vkey() || logs[1].URL != "https://example.org/b/" || logs[2].Key.Name != a.origin {
		t.Errorf("logs %v", logs)
	}

	one := "log " + a.vkey() + "\n"
	for name, text := range map[string]string{
		"nothing":                  "",
		"comments alone":           "# log x\n",
		"no log":                   "quorum none\n",
		"a second key alone":       "log " + mldsa + "\n",
		"no line break":            strings.TrimSuffix(one, "\n"),
		"CR":                       strings.ReplaceAll(one, "\n", "\r\n"),
		"no vkey":                  "log\n",
		"three words":              "log " + a.vkey() + " https://example.org/ x\n",
		"no vkey but a URL":        "log https://example.org/\n",
		"another word":             one + "logs " + b.vkey() + "\n",
		"a vkey alone":             a.vkey() + "\n",
		"a witness's key":          "log " + w + "\n",
		"a wrong key id":           strings.Replace(one, "+", "+0", 1),
		"twice":                    one + one,
		"one key under two names":  one + "log " + newLogWith("example.org/c", a.private).vkey() + "\n",
		"more than anybody writes": one + strings.Repeat("#\n", 1<<19),
	} {
		if logs, err := witness.ParseLogs([]byte(text)); err == nil {
			t.Errorf("%s: read as %v", name, logs)
		}
	}
}
