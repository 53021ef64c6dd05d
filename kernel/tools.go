package kernel

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
)

// Tool is something that [Build] needs from the machine: a program, or a
// header of C when Header is set.
type Tool struct {
	Program string
	Header  string
	Package string // the Debian package that holds it
}

// Tools lists what [Build] needs. ccache is not among them: it only saves
// time.
func Tools() []Tool {
	return []Tool{
		{Program: "tar", Package: "tar"},
		{Program: "xz", Package: "xz-utils"},
		{Program: "make", Package: "make"},
		{Program: "gcc", Package: "gcc"},
		{Program: "ld", Package: "binutils"},
		{Program: "strip", Package: "binutils"},
		{Program: "bc", Package: "bc"},
		{Program: "bison", Package: "bison"},
		{Program: "flex", Package: "flex"},
		{Program: "perl", Package: "perl"},
		{Program: "zstd", Package: "zstd"},
		{Header: "stdlib.h", Package: "libc6-dev"},
		{Header: "gelf.h", Package: "libelf-dev"}, // objtool
	}
}

// MissingTool is a tool that is not installed.
type MissingTool struct {
	Tool
	Err error // says so
}

// MissingTools returns what of [Tools] is not installed.
func MissingTools(ctx context.Context) []MissingTool {
	var missing []MissingTool
	for _, t := range Tools() {
		if err := t.find(ctx); err != nil {
			missing = append(missing, MissingTool{t, err})
		}
	}
	return missing
}

// CheckTools returns an error that names everything in [Tools] that is not
// installed, with the command that installs it.
func CheckTools(ctx context.Context) error {
	missing := MissingTools(ctx)
	if ctx.Err() != nil || len(missing) == 0 {
		return ctx.Err()
	}
	var errs []error
	var packages []string
	for _, m := range missing {
		errs = append(errs, m.Err)
		packages = append(packages, m.Package)
	}
	slices.Sort(packages)
	packages = slices.Compact(packages)
	return fault.New(fault.Environment, fmt.Errorf("looking for what a kernel build needs:\n%w", errors.Join(errs...)),
		"apt-get install "+strings.Join(packages, " "))
}

// find looks for the tool. Without a compiler, headers count as found: the
// compiler's absence is told already.
func (t Tool) find(ctx context.Context) error {
	if t.Program != "" {
		if _, err := exec.LookPath(t.Program); err != nil {
			return fmt.Errorf("%s is not installed", t.Program)
		}
		return nil
	}
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		return nil
	}
	cmd := exec.CommandContext(ctx, gcc, "-E", "-x", "c", "-")
	cmd.Stdin = strings.NewReader("#include <" + t.Header + ">\n")
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the header %s is not installed", t.Header)
	}
	return nil
}

// CompilerID names the programs whose versions shape the bytes of a kernel:
// compiler, linker and compressor.
func CompilerID(ctx context.Context) (string, error) {
	if err := CheckTools(ctx); err != nil {
		return "", err
	}
	var ids []string
	for _, program := range []string{"gcc", "ld", "zstd"} {
		cmd := exec.CommandContext(ctx, program, "--version")
		cmd.Env = buildEnv()
		out, err := cmd.Output()
		if err != nil {
			return "", fault.New(fault.Environment, fmt.Errorf("asking %s for its version: %w", program, err))
		}
		first, _, _ := strings.Cut(string(out), "\n")
		ids = append(ids, strings.Trim(first, "* "))
	}
	return strings.Join(ids, "; "), nil
}
