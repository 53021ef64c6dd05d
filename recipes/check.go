package recipes

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// checker looks at what no single key can tell: keys that need, or exclude,
// keys elsewhere.
type checker struct {
	*decoder
	root *node
}

// report adds a problem at the nearest place that was written, unless the
// value there is wrong by itself.
func (c *checker) report(path, hint, format string, args ...any) {
	for _, e := range c.problems.list {
		if e.Path == path {
			return
		}
	}
	at := c.root.at
	for p := path; p != ""; p = p[:max(strings.LastIndexAny(p, ".["), 0)] {
		if n := c.at[p]; n != nil {
			at = n.at
			break
		}
	}
	c.problems.add(at, path, hint, format, args...)
}

// given reports whether a key was written.
func (c *checker) given(path string) bool { return c.at[path] != nil }

func (c *checker) recipe(r *Recipe) {
	c.app(r)
	c.network(r.Network)
	c.disk(r.Disk)
	c.budgets(r.Budgets)
	if r.Runtime.JVM != nil {
		c.training(r.Runtime.JVM.CDS)
	}
	c.paths(r)
	c.ovf(r)
	for i, a := range r.Outputs {
		for j, b := range r.Outputs[:i] {
			if a.Format == b.Format && a.Format != "" {
				c.report(index("outputs", i), "", "the output %s is given twice, here and as outputs[%d]", a.Format, j)
			}
		}
	}
	for i, port := range r.App.Ports {
		if slices.Contains(r.App.Ports[:i], port) {
			c.report(index("app.ports", i), "", "the port %d is given twice", port)
		}
	}
	if len(r.App.Packages) > 0 && r.Runtime.OCI != nil {
		c.report("app.packages", "", "`app.packages` does not go with `runtime.oci`: the image has the app's files")
	}
}

// app checks that the app is of the kind that the runtime runs.
func (c *checker) app(r *Recipe) {
	a := r.App
	kinds := []struct {
		key     string
		given   bool
		runtime string
	}{
		{"jar", a.Jar != "", "jvm"},
		{"classPath", len(a.ClassPath) > 0, "jvm"},
		{"main", a.Main != "", "jvm"},
		{"binary", a.Binary != "", runtimeNone},
		{"command", len(a.Command) > 0, "oci"},
	}
	runtime := ""
	switch {
	case r.Runtime.JVM != nil:
		runtime = "jvm"
	case r.Runtime.OCI != nil:
		runtime = "oci"
	case r.Runtime.None:
		runtime = runtimeNone
	default:
		return
	}
	for _, k := range kinds {
		if k.given && k.runtime != runtime {
			c.report("app."+k.key, "", "`app.%s` is for runtime %s, and the runtime is %s", k.key, k.runtime, runtime)
		}
	}
	switch {
	case runtime == "jvm" && !c.given("app.jar") && !c.given("app.classPath"):
		c.report("app", "add `jar: …`, or `classPath: […]` and `main: …`", "a JVM app needs a jar or a class path")
	case runtime == "jvm" && !c.given("app.jar") && !c.given("app.main"):
		c.report("app.classPath", "add `main: …` to app", "a class path needs a main class")
	case runtime == runtimeNone && !c.given("app.binary"):
		c.report("app", "add `binary: …` to app", "runtime none needs a static program")
	}
	for name := range a.Env {
		if name == "" || strings.ContainsAny(name, "=\x00\n") {
			c.report("app.env."+name, "", "%q cannot be the name of an environment variable", name)
		}
	}
}

func (c *checker) network(n Network) {
	static := n.Mode == "static"
	if static && !c.given("network.address") {
		c.report("network.mode", "add `address: 10.0.0.5/24` to network", "mode static needs an address")
	}
	for _, key := range []string{"address", "gateway", "dns"} {
		if path := "network." + key; !static && c.given(path) {
			c.report(path, "set `mode: static`", "`%s` is for mode static only", path)
		}
	}
}

// compressions of the root, by filesystem.
func compressions(filesystem string) []string {
	switch filesystem {
	case "squashfs":
		return []string{"zstd", "gzip", "lz4"}
	case "ext4":
		return []string{"none"}
	}
	return []string{"lz4", "lz4hc", "none"}
}

func (c *checker) disk(d Disk) {
	names := compressions(d.Root.Filesystem)
	if got := d.Root.Compression; got != "" && !slices.Contains(names, got) {
		c.report("disk.root.compression", "use one of: "+strings.Join(names, ", "), "`disk.root.compression` cannot be %q for this filesystem", got)
	}
	if d.Data == nil {
		return
	}
	if c.given("disk.data.size") && d.Data.Size < 1<<20 {
		c.report("disk.data.size", "write a size such as 64MiB", "the data partition needs a size of at least 1MiB")
	}
	if c.given("disk.data.size") && d.Data.Disk == "second" && d.Data.Size < 16<<20 {
		c.report("disk.data.size", "write a size such as 1GiB", "a disk for the data needs a size of at least 16MiB")
	}
	if slices.Contains([]string{"/", "/proc", "/sys", "/dev", "/etc", "/run"}, strings.TrimRight(d.Data.Mount, "/")) || d.Data.Mount == "/" {
		c.report("disk.data.mount", "use a folder of its own, such as /data", "the data partition cannot be mounted on %s", d.Data.Mount)
	}
}

// symbolName is a symbol of the kernel's configuration.
var symbolName = regexp.MustCompile(`^[A-Za-z0-9_]+$`)

func (c *checker) budgets(b Budgets) {
	for name := range b.KernelSymbols {
		switch short, prefixed := strings.CutPrefix(name, "CONFIG_"); {
		case prefixed:
			c.report("budgets.kernelSymbols."+name, "write "+short, "symbols are named without CONFIG_")
		case !symbolName.MatchString(name):
			c.report("budgets.kernelSymbols."+name, "", "%q cannot be a symbol of the kernel's configuration", name)
		}
	}
}

func (c *checker) training(cds CDS) {
	const train = "runtime.jvm.cds.train"
	how := c.given(train+".http") || c.given(train+".tcp") || cds.Train.Exit
	switch {
	case cds.Mode == "app" && !how:
		c.report("runtime.jvm.cds.mode", "add `train: {http: …}`, {tcp: …} or {exit: true} to cds", "mode app needs a training run")
	case cds.Mode != "" && cds.Mode != "app" && how:
		c.report(train, "", "a training run is for mode app, and the mode is %s", cds.Mode)
	}
	if c.given(train+".send") && !c.given(train+".tcp") {
		c.report(train+".send", "add `tcp: PORT`", "`%s.send` needs a port to send to", train)
	}
	if c.given(train+".expect") && !c.given(train+".tcp") && !c.given(train+".http") {
		c.report(train+".expect", "add `http: …` or `tcp: PORT`", "`%s.expect` needs something that answers", train)
	}
}

// paths checks that no two things stand at one place in the guest.
func (c *checker) paths(r *Recipe) {
	seen := map[string]string{}
	claim := func(guest, path string) {
		guest = strings.TrimRight(guest, "/")
		if other, ok := seen[guest]; ok && guest != "" {
			c.report(path, "", "%s is taken by `%s` already", guest, other)
			return
		}
		seen[guest] = path
	}
	if r.Disk.Data != nil {
		claim(r.Disk.Data.Mount, "disk.data.mount")
	}
	for i, t := range r.Guest.Tmpfs {
		claim(t.Path, fmt.Sprintf("guest.tmpfs[%d].path", i))
	}
	for i, f := range r.Files {
		claim(f.Path, fmt.Sprintf("files[%d].path", i))
	}
}
