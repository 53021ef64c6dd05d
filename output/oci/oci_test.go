package oci_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/oci"
	"github.com/imgbuild/imgbuild/output/outputtest"
)

func TestFormat(t *testing.T) {
	a := outputtest.Appliance()
	a.Tree = outputtest.Tree(t)
	outputtest.Test(t, outputtest.Format{Format: oci.Format{}, Appliance: a, Files: []string{"hello-jvm.oci.tar"}, Check: check})
}

// check lets skopeo read the archive in both ways: as the OCI layout it is,
// and as what `docker save` writes.
func check(t *testing.T, m outputtest.Made) {
	skopeo := disktest.Program(t, "skopeo", "skopeo")
	path := m.Dir.Path("hello-jvm.oci.tar")
	for _, transport := range []string{"oci-archive", "docker-archive"} {
		var image struct {
			Created, Architecture, Os string
			Labels                    map[string]string
			Layers, Env               []string
		}
		out := disktest.Run(t, skopeo, "inspect", transport+":"+path)
		if err := json.Unmarshal([]byte(out), &image); err != nil {
			t.Fatal(err)
		}
		if image.Os != "linux" || image.Architecture != "amd64" || len(image.Layers) != 2 || image.Created != "2026-03-01T12:30:15Z" ||
			image.Labels["org.opencontainers.image.title"] != "hello-jvm" {
			t.Errorf("skopeo says of the %s:\n%s", transport, out)
		}
		var config struct {
			Config struct{ User, WorkingDir string }
		}
		if err := json.Unmarshal([]byte(disktest.Run(t, skopeo, "inspect", "--config", transport+":"+path)), &config); err != nil {
			t.Fatal(err)
		}
		if config.Config.User != "1000:1000" || config.Config.WorkingDir != "/app" {
			t.Errorf("%s: the configuration is %+v", transport, config)
		}
	}
	tags := disktest.Run(t, skopeo, "list-tags", "docker-archive:"+path)
	if !strings.Contains(tags, "hello-jvm:1.0.0") {
		t.Errorf("skopeo says of the tags:\n%s", tags)
	}
}

// reference returns the reference under which an image is exported.
func reference(t *testing.T, options, name, version string) (string, error) {
	t.Helper()
	w, err := oci.Format{}.New(json.RawMessage(options))
	if err != nil {
		return "", err
	}
	a := outputtest.Appliance()
	tree := &recorder{Tree: outputtest.Tree(t)}
	a.Name, a.Version, a.Tree = name, version, tree
	d, err := output.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	_, err = output.Write(t.Context(), a, disk.NewMemory(512), d, []output.Selected{{Format: oci.Format{}, Writer: w}}, nil)
	return tree.ref, err
}

func TestReferences(t *testing.T) {
	for _, c := range []struct{ options, name, version, want string }{
		{"", "shop", "1.0", "docker.io/library/shop:1.0"},
		{"", "shop", "1.0.0+build.5", "docker.io/library/shop:1.0.0-build.5"},
		{`{"tag":"latest"}`, "shop", "1.0", "docker.io/library/shop:latest"},
		{`{"name":"registry.example.org:5000/a/b"}`, "shop", "1.0", "registry.example.org:5000/a/b:1.0"},
		{`{"name":"team/shop","tag":"x"}`, "no..name", "1.0", "docker.io/team/shop:x"},
	} {
		got, err := reference(t, c.options, c.name, c.version)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%+v: %v\n%s", c, err, diff)
		}
	}
	for _, c := range []struct{ options, name, version string }{
		{`{"name":"Shop"}`, "shop", "1"},
		{`{"name":"shop:1"}`, "shop", "1"},
		{`{"tag":"a b"}`, "shop", "1"},
		{`{"tag":"-a"}`, "shop", "1"},
		{"", "no..name", "1"},
		{"", "shop", ""},
	} {
		if got, err := reference(t, c.options, c.name, c.version); fault.KindOf(err) != fault.Recipe || len(fault.HintsOf(err)) == 0 {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
}

func TestNoTree(t *testing.T) {
	w, err := oci.Format{}.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	d, err := output.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if s, err := w.Begin(t.Context(), outputtest.Appliance(), d, 512); err == nil {
		s.Abort()
		t.Error("an appliance without a tree passed")
	}
}
