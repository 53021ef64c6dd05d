package recipes

import (
	"slices"
	"time"
)

// The defaults of a recipe.
const (
	DefaultVersion  = "0.0.0"
	DefaultPlatform = "linux/amd64"
	DefaultSeries   = "6.12"
	DefaultJDK      = "openjdk-17-jdk-headless"
	DefaultUser     = "app"
	DefaultUID      = 10001
	DefaultMemory   = Size(256 << 20)
	DefaultWithin   = Duration(60 * time.Second)
	DefaultTimeout  = Duration(60 * time.Second) // of a training run
	DefaultStop     = Duration(10 * time.Second)
)

// fill gives every value that was not written its default. given reports
// whether the value at a path was written, for where zero is a value too.
func (r *Recipe) fill(given func(path string) bool) {
	or(&r.Version, DefaultVersion)
	or(&r.Platform, DefaultPlatform)
	if k := r.Kernel; k.Universal == nil && k.Package == "" && k.File == "" && len(k.RPM) == 0 {
		r.Kernel.Universal = &UniversalKernel{}
	}
	if r.Kernel.Universal != nil {
		or(&r.Kernel.Universal.Series, DefaultSeries)
	}
	if r.Runtime.JVM != nil {
		r.Runtime.JVM.fill()
	}
	or(&r.App.WorkDir, "/")
	or(&r.App.User, DefaultUser)
	if !given("app.uid") {
		r.App.UID = DefaultUID
	}
	if !given("app.gid") {
		r.App.GID = DefaultUID
	}
	or(&r.Guest.Memory, DefaultMemory)
	or(&r.Guest.CPUs, 1)
	or(&r.Guest.Hostname, hostname(r.Name))
	or(&r.Guest.Timezone, "UTC")
	or(&r.Guest.Restart, "never")
	or(&r.Guest.OnExit, "poweroff")
	or(&r.Guest.Isolation, "standard")
	or(&r.Guest.StopTimeout, DefaultStop)
	or(&r.Network.Mode, "dhcp")
	r.Disk.fill()
	or(&r.Sanitize.Policy, "default")
	for i := range r.Test {
		r.Test[i].fill(r.App)
	}
	r.OVF.fill()
	if r.Outputs == nil {
		r.Outputs = []Output{{Format: "raw"}}
	}
}

func (j *JVM) fill() {
	if j.JDK == (JDK{}) {
		j.JDK.Package = DefaultJDK
	}
	if j.Modules.IsZero() {
		j.Modules.Auto = true
	}
	mode := "default"
	if t := j.CDS.Train; t.HTTP != "" || t.TCP != 0 || t.Exit {
		mode = "app"
	}
	or(&j.CDS.Mode, mode)
	if j.CDS.Mode == "app" {
		or(&j.CDS.Train.Timeout, DefaultTimeout)
	}
	or(&j.Profile, "balanced")
	or(&j.TrustStore, "system")
}

func (d *Disk) fill() {
	or(&d.Root.Filesystem, "erofs")
	switch d.Root.Filesystem {
	case "erofs":
		or(&d.Root.Compression, "lz4")
	case "squashfs":
		or(&d.Root.Compression, "zstd")
	}
	if d.Data != nil {
		or(&d.Data.Disk, "same")
		or(&d.Data.Filesystem, "ext4")
	}
}

func (c *Check) fill(app App) {
	switch {
	case c.HTTP != nil:
		or(&c.HTTP.Path, "/")
		or(&c.HTTP.Status, 200)
		or(&c.HTTP.Within, DefaultWithin)
	case c.TCP != nil:
		or(&c.TCP.Within, DefaultWithin)
	case c.Console != nil:
		or(&c.Console.Within, DefaultWithin)
	case c.Exit != nil:
		or(&c.Exit.Within, DefaultWithin)
	case c.Listen != nil:
		if c.Listen.Ports == nil {
			c.Listen.Ports = slices.Clone(app.Ports)
		}
		or(&c.Listen.Within, DefaultWithin)
	case c.Boot != nil:
		until := "listening"
		if len(app.Ports) == 0 {
			until = "started"
		}
		or(&c.Boot.Until, until)
		or(&c.Boot.Within, DefaultWithin)
	}
}

// or sets a value that is zero to its default.
func or[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// hostname makes a host name of a recipe's name, which may hold _ as well.
func hostname(name string) string {
	host := []byte(name)
	for i, c := range host {
		if c == '_' {
			host[i] = '-'
		}
	}
	for len(host) > 0 && (host[len(host)-1] == '-' || host[len(host)-1] == '.') {
		host = host[:len(host)-1]
	}
	return string(host)
}
