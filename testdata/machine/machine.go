// Package machine says on what a result was measured.
package machine

import (
	"os"
	"runtime"
	"strings"
)

// Machine is what a figure depends on.
type Machine struct {
	CPU    string `json:"cpu"` // its model; empty where the system has no /proc
	Cores  int    `json:"cores"`
	OS     string `json:"os"`     // with the architecture, as linux/amd64
	Kernel string `json:"kernel"` // its release; empty where the system has no /proc
	Go     string `json:"go"`
}

// This is the machine that the process runs on.
func This() Machine {
	m := Machine{Cores: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	if data, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = runtime.GOOS + " " + strings.TrimSpace(string(data))
	}
	data, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	return m
}
