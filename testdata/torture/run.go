package main

import (
	"bufio"
	"bytes"
	"context"
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
func (c *campaign) runPart(ctx context.Context, p part, r *result) error {
	if r.Done >= p.whole {
		return nil
	}
	if ctx.Err() != nil {
		return errStopped
	}
	binary, err := c.build(p)
	if err != nil {
		return err
	}
	for r.Done < p.whole {
		if ctx.Err() != nil {
			return errStopped
		}
		n := min(p.chunk, p.whole-r.Done)
		out, took, failed := c.runChunk(ctx, c.command(p, binary, r.Done, n))
		if ctx.Err() != nil {
			continue // and what it did is not counted
		}
		if err := c.took(&p, r, n, took, out, failed); err != nil {
			return err
		}
		fmt.Printf("%s: %d of %d, %d failures, %.0f s\n", p.name, r.Done, p.whole, len(r.Failures), r.Seconds)
	}
	return nil
}

// runChunk runs a command, until ctx ends, and gives what it said.
func (c *campaign) runChunk(ctx context.Context, cmd *exec.Cmd) (out []byte, took time.Duration, err error) {
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	// So that the terminal's interrupt ends this process alone, between chunks.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, 0, err
	}
	kill := context.AfterFunc(ctx, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer kill()
	err = cmd.Wait()
	return said.Bytes(), time.Since(begun), err
}

// took keeps what came of a chunk.
func (c *campaign) took(p *part, r *result, n uint64, took time.Duration, out []byte, failed error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.Seconds += took.Seconds()
	if p.lies {
		r.takeLies(out)
	} else {
		r.take(out)
	}
	if failed != nil {
		r.fail(fmt.Sprintf("%d to %d: %v", r.Done, r.Done+n, failed), out)
	}
	r.Done += n
	return c.save()
}

// build makes a part's test binary, once for all parts of its package. Its folder
// says which module it belongs to.
func (c *campaign) build(p part) (string, error) {
	if p.mutants != "" || p.lies {
		return "", nil
	}
	name := strings.NewReplacer("/", "_", ".", "_").Replace(p.pkg)
	args := []string{"test", "-c", "-o"}
	if p.fuzz { // which counts what the code under it does
		name += ".fuzz"
		args = []string{"test", "-c", "-fuzz", ".", "-o"}
	}
	binary := filepath.Join(c.temp, name+".test")
	c.building.Lock()
	defer c.building.Unlock()
	if c.built[binary] {
		return binary, nil
	}
	cmd := exec.Command("go", append(args, binary, ".")...)
	cmd.Dir = p.pkg
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the tests of %s: %w\n%s", p.pkg, err, out)
	}
	c.built[binary] = true
	return binary, nil
}

func (c *campaign) command(p part, binary string, done, n uint64) *exec.Cmd {
	var cmd *exec.Cmd
	switch {
	case p.mutants != "":
		cmd = exec.Command("go", "run", "./testdata/torture/mutants", "-only", "^"+strings.TrimPrefix(p.mutants, "./")+"$")
	case p.lies:
		cmd = liesCommand()
	case p.fuzz: // what was found interesting is kept beside the binary, for the next chunk
		cmd = exec.Command(binary, "-test.run", "^$", "-test.fuzz", "^"+p.test+"$", "-test.fuzztime", fmt.Sprint(n, "x"),
			"-test.fuzzminimizetime", "20x", "-test.parallel", "1", "-test.fuzzcachedir", binary+".corpus")
	default:
		cmd = exec.Command(binary, "-test.v", "-test.timeout", "2h", "-test.run", p.test)
	}
	if binary != "" {
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
func (r *result) take(out []byte) {
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
