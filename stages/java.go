package stages

import (
	"fmt"

	"github.com/imgbuild/imgbuild/recipes"
)

// Where things stand in the guest.
const (
	guestJRE     = "/jre"
	guestApp     = "/app"
	guestArchive = "/app/classes.jsa"
)

// archiveGC is the collector under which class archives are dumped. Only the
// serial one gives the same bytes each time: G1 and the parallel collector
// also archive heap objects, whose layout depends on the threads' timing. The
// archive maps under every collector.
const archiveGC = "-XX:+UseSerialGC"

// dataSharing returns the options that must be the same when the archive is
// dumped and when it is used.
func dataSharing(mode string) []string {
	if mode == "off" {
		return []string{"-Xshare:off"}
	}
	return []string{"-Xshare:auto", "-XX:SharedArchiveFile=" + guestArchive}
}

// fitted returns the options that fit the JVM to the guest and the profile.
//
// The shares of memory leave room for the kernel, init, metaspace, code and
// thread stacks, which do not shrink with the guest: the smaller the guest,
// the smaller the heap's share.
func fitted(r *recipes.Recipe) []string {
	jvm, guest := r.Runtime.JVM, r.Guest
	share := 75
	mib := int64(guest.Memory) >> 20
	switch {
	case mib < 128:
		share = 25
	case mib < 512:
		share = 50
	case mib < 1024:
		share = 65
	}
	// MinRAMPercentage is the bound that small machines get, in spite of its
	// name; both are set so that no threshold in the JVM changes the share.
	opts := []string{
		fmt.Sprintf("-XX:MaxRAMPercentage=%d", share),
		fmt.Sprintf("-XX:MinRAMPercentage=%d", share),
		"-XX:-UsePerfData",
		"-XX:+ExitOnOutOfMemoryError",
		"-Dfile.encoding=UTF-8",
		"-Dsun.jnu.encoding=UTF-8",
		"-Djava.io.tmpdir=/tmp",
	}
	// The JVM's own rule for a "server class machine": below two processors
	// or 1792 MiB the serial collector has the shorter pauses and the
	// smaller footprint.
	small := guest.CPUs < 2 || int64(guest.Memory) < 1792<<20
	switch {
	case jvm.Profile == "throughput" && !small:
		opts = append(opts, "-XX:+UseParallelGC")
	case jvm.Profile == "fast-start" || small:
		opts = append(opts, "-XX:+UseSerialGC")
	default:
		opts = append(opts, "-XX:+UseG1GC", "-XX:G1PeriodicGCInterval=60000")
	}
	if jvm.Profile == "fast-start" || mib < 128 {
		// Since 17.0.5 a class archive is mapped at a random address by
		// default, for which all pointers in it are patched: most of it
		// becomes a private copy, 8.7 of 10.3 MB for a small server. Who
		// asks for a fast start, or has that little memory, does without
		// what the random address hides. The option came with JDK 14.
		opts = append(opts, "-XX:+UnlockDiagnosticVMOptions", "-XX:ArchiveRelocationMode=0")
	}
	switch jvm.Profile {
	case "fast-start":
		opts = append(opts, "-XX:TieredStopAtLevel=1", "-Xss512k")
	case "throughput":
		opts = append(opts, "-XX:+AlwaysPreTouch", "-XX:+UseTransparentHugePages")
	}
	return opts
}
