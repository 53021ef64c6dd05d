package sandbox_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/imgbuild/imgbuild/builder/store"
	"github.com/imgbuild/imgbuild/stages/apt"
	"github.com/imgbuild/imgbuild/stages/sandbox"
)

// TestJVM runs a Java runtime in a root that is made of its packages alone.
func TestJVM(t *testing.T) {
	if testing.Short() {
		t.Skip("downloads a Java runtime")
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("apt-get is missing: install the package apt")
	}
	ctx := t.Context()
	s, err := store.Open(t.TempDir(), hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := apt.New(apt.Options{CacheDir: t.TempDir()})
	locked, err := c.Resolve(ctx, []string{"openjdk-17-jre-headless"})
	if err != nil {
		t.Fatal(err)
	}
	layers, err := c.Fetch(ctx, s, locked, nil)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := s.Tree(ctx, layers...)
	if err != nil {
		t.Fatal(err)
	}
	box, err := sandbox.Find(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = sandbox.Run(ctx, box, sandbox.Command{
		Root: tree, Args: []string{"/usr/lib/jvm/java-17-openjdk-amd64/bin/java", "-version"},
		UID: 10001, GID: 10001, Stdout: &out, Stderr: &out,
	})
	if err != nil || !strings.Contains(out.String(), "openjdk version \"17") {
		t.Errorf("%s: %v\n%s", box.Name(), err, out.String())
	}
}
