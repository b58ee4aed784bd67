package durabletest

import (
	"fmt"
	"os"
	"testing"
)

// Seeds are those that MUSTER_SEEDS names, from:to without to, or a few: so the
// long campaign has a test run as many as it wants.
func Seeds(t *testing.T, few uint64) (from, to uint64) {
	t.Helper()
	s := os.Getenv("MUSTER_SEEDS")
	if s == "" {
		return 0, few
	}
	if _, err := fmt.Sscanf(s, "%d:%d", &from, &to); err != nil {
		t.Fatalf("MUSTER_SEEDS=%s: want from:to", s)
	}
	return from, to
}
