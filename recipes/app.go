package recipes

// App is the program of the appliance.
type App struct {
	// Jar is the path of an executable jar. What the manifest of a jar names
	// in Class-Path, and is there, comes with it.
	Jar string `yaml:"jar,omitempty" json:"jar,omitempty" check:"file"`
	// ClassPath are jars, folders and globs; with Packages, absolute paths
	// are those inside the packages.
	ClassPath []string `yaml:"classPath,omitempty" json:"classPath,omitempty" check:"classpath"`
	// Main is the main class; a jar's own by default.
	Main string `yaml:"main,omitempty" json:"main,omitempty"`
	// Binary is the path of a static program, for runtime none.
	Binary string `yaml:"binary,omitempty" json:"binary,omitempty" check:"file"`
	// Command is the whole command, for runtime oci; the image's by default.
	Command []string `yaml:"command,omitempty" json:"command,omitempty"`
	// Packages are Debian packages from which files are taken.
	Packages []PackageFiles `yaml:"packages,omitempty" json:"packages,omitempty"`
	// Missing are patterns of classes that the class path refers to and does
	// not hold, known not to be used: org.example.Optional, org.example.*.
	Missing []string `yaml:"missing,omitempty" json:"missing,omitempty"`
	// Args are the arguments of the app.
	Args []string `yaml:"args,omitempty" json:"args,omitempty"`
	// Env are the variables of the app's environment.
	Env map[string]string `yaml:"env,omitempty" json:"env,omitempty"`
	// WorkDir is the app's working directory.
	WorkDir string `yaml:"workDir,omitempty" json:"workDir,omitempty" check:"guest"`
	// User is the name of the unprivileged user that runs the app.
	User string `yaml:"user,omitempty" json:"user,omitempty" jsonschema:"pattern=^[a-z_][a-z0-9_-]{0\\,31}$"`
	// UID is the number of that user.
	UID int `yaml:"uid,omitempty" json:"uid" jsonschema:"minimum=0,maximum=2147483647"`
	// GID is the number of the user's group.
	GID int `yaml:"gid,omitempty" json:"gid" jsonschema:"minimum=0,maximum=2147483647"`
	// Ports are the TCP ports that the app listens on.
	Ports []int `yaml:"ports,omitempty" json:"ports,omitempty" check:"port"`
}

// PackageFiles takes files from a Debian package and what it depends on.
type PackageFiles struct {
	// Name of the package.
	Name string `yaml:"name" json:"name" jsonschema:"required,pattern=^[a-z0-9][a-z0-9+.-]+$"`
	// Paths are globs of the files to take, as absolute paths; ** matches
	// folders. Links are followed within the packages.
	Paths []string `yaml:"paths,omitempty" json:"paths,omitempty" check:"guest"`
	// Alone takes this package without those that it depends on.
	Alone bool `yaml:"alone,omitempty" json:"alone,omitempty"`
}

// File is a file, folder or link that is put into the tree. Exactly one of
// Content, Source, Link and Dir is set.
type File struct {
	// Path in the guest.
	Path string `yaml:"path" json:"path" jsonschema:"required" check:"guest"`
	// Content is the text of the file.
	Content string `yaml:"content,omitempty" json:"content,omitempty" check:"one"`
	// Source is a file or folder to copy.
	Source string `yaml:"source,omitempty" json:"source,omitempty" check:"one,local"`
	// Link is the target of a symbolic link.
	Link string `yaml:"link,omitempty" json:"link,omitempty" check:"one"`
	// Dir makes an empty folder.
	Dir bool `yaml:"dir,omitempty" json:"dir,omitempty" check:"one"`
	// Mode in octal, as text: "0644".
	Mode string `yaml:"mode,omitempty" json:"mode,omitempty" jsonschema:"pattern=^0?[0-7]{3\\,4}$"`
	// UID is the number of the owner.
	UID int `yaml:"uid,omitempty" json:"uid,omitempty" jsonschema:"minimum=0,maximum=2147483647"`
	// GID is the number of the group.
	GID int `yaml:"gid,omitempty" json:"gid,omitempty" jsonschema:"minimum=0,maximum=2147483647"`
}
