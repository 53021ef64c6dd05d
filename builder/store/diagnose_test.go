package store_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/builder/store"
	"github.com/imgbuild/imgbuild/fault"
)

func TestDiagnose(t *testing.T) {
	s := open(t, t.TempDir())
	in := filepath.Join(s.Dir(), "x")
	tests := []struct {
		err  error
		kind fault.Kind
		hint string
	}{
		{unix.ENOSPC, fault.Environment, "imgbuild cache prune"},
		{fmt.Errorf("writing: %w", &fs.PathError{Op: "write", Path: in, Err: unix.EDQUOT}), fault.Environment, "quota"},
		{&fs.PathError{Op: "write", Path: "/elsewhere/disk", Err: unix.ENOSPC}, fault.Environment, "the file system of /elsewhere/disk is full"},
		{&os.LinkError{Op: "rename", Old: in, New: in, Err: unix.EACCES}, fault.Environment, "must be writable"},
		{&fs.PathError{Op: "open", Path: in, Err: unix.EROFS}, fault.Environment, "must be writable"},
		{&fs.PathError{Op: "open", Path: "/home/me/app.jar", Err: unix.EACCES}, fault.Stage, ""},
		{fault.New(fault.Input, unix.ENOSPC), fault.Input, ""},
		{errors.New("anything else"), fault.Stage, ""},
	}
	for _, test := range tests {
		err := s.Diagnose(test.err)
		hints := strings.Join(fault.HintsOf(err), "\n")
		if fault.KindOf(err) != test.kind || !strings.Contains(hints, test.hint) || (test.hint == "") != (hints == "") {
			t.Errorf("%v: kind %v, hints %q", test.err, fault.KindOf(err), hints)
		}
	}
	if s.Diagnose(nil) != nil {
		t.Error("no error became one")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(file, hclog.NewNullLogger()); err == nil {
		t.Error("opened a file as a store")
	}
}
