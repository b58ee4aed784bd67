package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var errStopped = errors.New("stopped: run it again to go on")

// runPart runs what is missing of a part, a chunk at a time.
func (c *campaign) runPart(p part, want uint64, stop <-chan os.Signal) error {
	r := c.part(&p)
	if r.Done >= want {
		return nil
	}
	binary, err := c.build(p)
	if err != nil {
		return err
	}
	for r.Done < want {
		n := min(p.chunk, want-r.Done)
		cmd := c.command(p, binary, r.Done, n)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		// So that the terminal's interrupt ends this process alone, between chunks.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		begun := time.Now()
		if err := cmd.Start(); err != nil {
			return err
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case <-stop:
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-ended
			return errStopped
		case err = <-ended:
		}
		r.Seconds += time.Since(begun).Seconds()
		r.take(out.Bytes(), n)
		if err != nil {
			r.fail(fmt.Sprintf("%d to %d: %v", r.Done, r.Done+n, err), out.Bytes())
		}
		r.Done += n
		if err := c.save(); err != nil {
			return err
		}
		fmt.Printf("%s: %d of %d, %d failures, %.0f s\n", p.name, r.Done, want, len(r.Failures), r.Seconds)
	}
	return nil
}

// build makes the test binary once.
func (c *campaign) build(p part) (string, error) {
	if p.fuzz || p.mutants {
		return "", nil
	}
	binary := filepath.Join(c.temp, strings.NewReplacer("/", "_", ".", "_").Replace(p.pkg)+".test")
	out, err := exec.Command("go", "test", "-c", "-o", binary, p.pkg).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the tests of %s: %w\n%s", p.pkg, err, out)
	}
	return binary, nil
}

func (c *campaign) command(p part, binary string, done, n uint64) *exec.Cmd {
	var cmd *exec.Cmd
	switch {
	case p.mutants:
		cmd = exec.Command("go", "run", "./testdata/torture/mutants")
	case p.fuzz:
		cmd = exec.Command("go", "test", "-run", "^$", "-fuzz", "^"+p.test+"$", "-fuzztime", fmt.Sprint(n, "x"), "-fuzzminimizetime", "20x", "-parallel", "1", p.pkg)
	default:
		cmd = exec.Command(binary, "-test.v", "-test.timeout", "2h", "-test.run", p.test)
		cmd.Dir = p.pkg // as the go command does: tests find their files by it
	}
	amount := fmt.Sprintf("MUSTER_SEEDS=%d:%d", done, done+n)
	if p.amount != "" {
		amount = fmt.Sprintf("%s=%d", p.amount, n)
	}
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", amount)
	return cmd
}

var (
	countLine = regexp.MustCompile(`\bcount (.+) (\d+)$`)
	execsLine = regexp.MustCompile(`^fuzz: elapsed: .* execs: (\d+) `)
	failLine  = regexp.MustCompile(`^\s*--- FAIL: (\S+)`)
)

// take adds up what a run counted.
func (r *result) take(out []byte, n uint64) {
	var execs uint64
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		if m := countLine.FindStringSubmatch(s.Text()); m != nil {
			k, _ := strconv.ParseUint(m[2], 10, 64)
			r.Counts[m[1]] += k
		}
		if m := execsLine.FindStringSubmatch(s.Text()); m != nil {
			execs, _ = strconv.ParseUint(m[1], 10, 64)
		}
	}
	if execs > 0 {
		r.Counts["executions"] += execs
	}
}

// fail keeps which tests failed, and how the run ended.
func (r *result) fail(what string, out []byte) {
	var failed []string
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for _, line := range lines {
		if m := failLine.FindStringSubmatch(line); m != nil {
			failed = append(failed, m[1])
		}
	}
	r.Failures = append(r.Failures, failure{What: what, Tests: failed, Output: strings.Join(lines[max(0, len(lines)-40):], "\n")})
}
