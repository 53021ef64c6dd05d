package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/fault"
)

// kvmDevice is the door to the kernel's virtualisation.
const kvmDevice = "/dev/kvm"

// canaryTimeout is what the canary may take. Where KVM works it is done in
// well under a second; where KVM is emulated it would take for ever.
const canaryTimeout = 10 * time.Second

// Probe returns the accelerator that works on this host, and why. qemu is the
// program and cache the folder that keeps the verdict; empty strings are the
// defaults of [Options]. The verdict holds for one version of QEMU, one model
// of processor and one kernel.
func Probe(ctx context.Context, qemu, cache string) (Accel, string, error) {
	path, err := findQEMU(Options{QEMU: qemu}.withDefaults().QEMU)
	if err != nil {
		return "", "", err
	}
	return probe(ctx, path, cache)
}

func probe(ctx context.Context, qemu, cache string) (Accel, string, error) {
	f, err := os.OpenFile(kvmDevice, os.O_RDWR, 0)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return TCG, "this host has no " + kvmDevice, nil
	case err != nil:
		return TCG, fmt.Sprintf("%s cannot be opened: %v", kvmDevice, errors.Unwrap(err)), nil
	}
	f.Close()

	key, err := hostKey(ctx, qemu)
	if err != nil {
		return "", "", err
	}
	file := verdictFile(cache)
	if v, ok := loadVerdict(file, key); ok {
		return v.Accel, v.Reason, nil
	}
	v := verdict{Key: key, Accel: KVM, Reason: "the canary guest ran on " + kvmDevice}
	if err := canary(ctx, qemu, KVM, canaryTimeout); err != nil {
		if ctx.Err() != nil {
			return "", "", context.Cause(ctx)
		}
		v.Accel, v.Reason = TCG, fmt.Sprintf("%s does not run a guest: %v", kvmDevice, err)
	}
	v.save(file)
	return v.Accel, v.Reason, nil
}

// canary runs the canary guest; nil means that it came through.
func canary(ctx context.Context, qemu string, accel Accel, timeout time.Duration) error {
	dir, err := os.MkdirTemp("", "imgbuild-canary-")
	if err != nil {
		return fmt.Errorf("making a scratch folder: %w", err)
	}
	defer os.RemoveAll(dir)
	image := filepath.Join(dir, "canary.raw")
	if err := os.WriteFile(image, bootSector(), 0o600); err != nil {
		return fmt.Errorf("writing the canary: %w", err)
	}
	if err := os.Truncate(image, canarySize); err != nil {
		return fmt.Errorf("writing the canary: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no sign of life within %v", timeout))
	defer cancel()
	return runCanary(ctx, qemu, canaryArguments(accel, image))
}

// canaryArguments is the command line of the canary guest.
func canaryArguments(accel Accel, image string) []string {
	o := Options{Accel: accel, Machine: Q35, CPUs: 1, Memory: minMemory}
	return append(board(o), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-device", "isa-debug-exit,"+canaryPort,
		"-drive", "if=none,id=disk,format=raw,file="+escape(image),
		"-device", "ide-hd,drive=disk,bootindex=0")
}

// runCanary runs QEMU and judges how it ended. QEMU stays when KVM gives up,
// so its complaint ends it.
func runCanary(ctx context.Context, qemu string, args []string) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	cmd := exec.CommandContext(ctx, qemu, args...)
	var complaint strings.Builder
	watch := newConsole(func() time.Duration { return 0 }, nil, nil, func(l Line) {
		complaint.WriteString(l.Text + "\n")
		if strings.Contains(l.Text, "KVM internal error") {
			stop(errors.New(l.Text))
		}
	})
	ours, theirs, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("making a pipe: %w", err)
	}
	defer ours.Close()
	cmd.Stderr = theirs
	ended := make(chan error, 1)
	err = spawn(cmd, func() {
		watch.read(ours)
		ended <- cmd.Wait()
	})
	theirs.Close()
	if err != nil {
		return fmt.Errorf("starting QEMU: %w", err)
	}
	err = <-ended
	switch {
	case cmd.ProcessState.ExitCode() == canaryAlive:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case complaint.Len() > 0:
		return errors.New(strings.TrimSpace(complaint.String()))
	case err == nil:
		return errors.New("the guest ended without a sign of life")
	}
	return err
}

// verdict is what the cache keeps.
type verdict struct {
	Key    string `json:"key"`
	Accel  Accel  `json:"accel"`
	Reason string `json:"reason"`
}

// hostKey names all that a verdict depends on.
func hostKey(ctx context.Context, qemu string) (string, error) {
	out, err := exec.CommandContext(ctx, qemu, "--version").Output()
	if err != nil {
		return "", fault.New(fault.Environment, fmt.Errorf("asking QEMU for its version: %w", err),
			"reinstall the package qemu-system-x86")
	}
	version, _, _ := strings.Cut(string(out), "\n")
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("asking for the kernel's release: %w", err)
	}
	cpu, _ := os.ReadFile("/proc/cpuinfo") // without it the key is only coarser
	_, model, _ := strings.Cut(string(cpu), "model name")
	model, _, _ = strings.Cut(model, "\n")
	return strings.Join([]string{version, strings.Trim(model, "\t: "), unix.ByteSliceToString(u.Release[:])}, "; "), nil
}

// verdictFile is where the verdict is kept; empty when there is no place.
func verdictFile(cache string) string {
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return ""
		}
		cache = filepath.Join(user, "imgbuild")
	}
	return filepath.Join(cache, "accelerator.json")
}

// loadVerdict returns the kept verdict when it is about this host.
func loadVerdict(file, key string) (verdict, bool) {
	var v verdict
	b, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(b, &v) != nil || v.Key != key {
		return verdict{}, false
	}
	return v, v.Accel == KVM || v.Accel == TCG
}

// save keeps the verdict. When that is not possible, the next run asks again.
func (v verdict) save(file string) {
	if file == "" || os.MkdirAll(filepath.Dir(file), 0o755) != nil {
		return
	}
	if b, err := json.MarshalIndent(v, "", "  "); err == nil {
		_ = renameio.WriteFile(file, append(b, '\n'), 0o644)
	}
}
