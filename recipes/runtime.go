package recipes

// Runtime says what the app runs on. Exactly one of JVM, OCI and None is set;
// "runtime: none" is for a static binary.
type Runtime struct {
	// JVM is a Java runtime, trimmed to the app.
	JVM *JVM `yaml:"jvm,omitempty" json:"jvm,omitempty" check:"one"`
	// OCI is a container image with a runtime in it.
	OCI *OCIRuntime `yaml:"oci,omitempty" json:"oci,omitempty" check:"one"`
	// None is for a static binary; it is written "runtime: none".
	None bool `yaml:"none,omitempty" json:"none,omitempty" check:"one"`
}

// JVM is a Java runtime, trimmed to the app.
type JVM struct {
	// JDK says where the Java development kit comes from.
	JDK JDK `yaml:"jdk,omitempty" json:"jdk,omitzero"`
	// Modules of the JDK to keep: "auto" asks jdeps, and keeps what TLS and
	// zip file systems need where the app asks for these; or a list.
	Modules Modules `yaml:"modules,omitempty" json:"modules,omitzero"`
	// AddModules are kept beside those that jdeps finds.
	AddModules []string `yaml:"addModules,omitempty" json:"addModules,omitempty"`
	// CDS is class data sharing: classes parsed at build time.
	CDS CDS `yaml:"cds,omitempty" json:"cds,omitzero"`
	// Profile is "balanced", "fast-start" or "throughput".
	Profile string `yaml:"profile,omitempty" json:"profile,omitempty" jsonschema:"enum=balanced,enum=fast-start,enum=throughput"`
	// Options are further options for the JVM.
	Options []string `yaml:"options,omitempty" json:"options,omitempty"`
	// JNI are globs of further shared libraries that the app loads by name,
	// as paths in the packages of the JDK.
	JNI []string `yaml:"jni,omitempty" json:"jni,omitempty"`
	// TrustStore says which certificate authorities are trusted: "system"
	// (those of the ca-certificates package) or "none".
	TrustStore string `yaml:"trustStore,omitempty" json:"trustStore,omitempty" jsonschema:"enum=system,enum=none"`
}

// JDK says where the Java development kit comes from. Exactly one is set; the
// default is Package.
type JDK struct {
	// Package is a Debian package: openjdk-17-jdk-headless.
	Package string `yaml:"package,omitempty" json:"package,omitempty" jsonschema:"pattern=^[a-z0-9][a-z0-9+.-]+$" check:"maybe"`
	// Path is a folder on this machine that holds a JDK with jmods.
	Path string `yaml:"path,omitempty" json:"path,omitempty" check:"maybe,dir"`
	// OCI is an image that holds a JDK.
	OCI string `yaml:"oci,omitempty" json:"oci,omitempty" check:"maybe,image"`
}

// CDS is class data sharing: classes parsed at build time.
type CDS struct {
	// Mode is "app" (the classes that a training run loads), "default" (the
	// JDK's own list) or "off".
	Mode string `yaml:"mode,omitempty" json:"mode,omitempty" jsonschema:"enum=app,enum=default,enum=off"`
	// Train is how the app is exercised, for mode app.
	Train Train `yaml:"train,omitempty" json:"train,omitzero"`
}

// Train is how the app is exercised for class data sharing. It runs in a
// sandbox without a network but for the loopback.
type Train struct {
	// HTTP is a URL on the loopback to get once the app answers. A page with
	// an error's status is no answer; with expect, one from 400 to 499 may be.
	HTTP string `yaml:"http,omitempty" json:"http,omitempty" jsonschema:"pattern=^http://(127\\.0\\.0\\.1|localhost)(:[0-9]{1\\,5})?(/.*)?$" check:"maybe"`
	// TCP is a port to connect to on the loopback.
	TCP int `yaml:"tcp,omitempty" json:"tcp,omitempty" check:"maybe,port"`
	// Send is a line to send to the TCP port.
	Send string `yaml:"send,omitempty" json:"send,omitempty"`
	// Expect is a regular expression that the page, or what the TCP port
	// answers, must match; the app is asked again until it does.
	Expect string `yaml:"expect,omitempty" json:"expect,omitempty" check:"regexp"`
	// Exit means that the app ends by itself.
	Exit bool `yaml:"exit,omitempty" json:"exit,omitempty" check:"maybe"`
	// Timeout for the whole training run.
	Timeout Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"`
}

// OCIRuntime is a container image with a runtime in it.
type OCIRuntime struct {
	// Image is a reference: a registry's name:tag or name@digest,
	// oci:FOLDER[:TAG] for an OCI layout, or archive:FILE for an archive
	// made by docker save.
	Image string `yaml:"image" json:"image" jsonschema:"required" check:"image"`
	// PlainHTTP allows a registry without TLS.
	PlainHTTP bool `yaml:"plainHTTP,omitempty" json:"plainHTTP,omitempty"`
}
