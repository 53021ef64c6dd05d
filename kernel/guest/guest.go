// Package guest carries the program that is PID 1 of every appliance.
//
// `make build` compiles kernel/init into the folder bin before it compiles
// imgbuild, which then holds it. A plain `go build` works without it; asking
// for it then tells what to do.
package guest

import (
	"embed"
	"errors"
	"io/fs"

	"github.com/imgbuild/imgbuild/fault"
)

//go:embed all:bin
var bin embed.FS

// Init returns the static x86-64 program.
func Init() ([]byte, error) {
	program, err := bin.ReadFile("bin/init")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Environment, errors.New("this imgbuild was compiled without the guest's init"),
			"run `make build`, which compiles both")
	}
	return program, err
}
