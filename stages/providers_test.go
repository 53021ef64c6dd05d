package stages

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk/disktest"
)

// TestProviders compiles classes and finds the services that they ask for, if
// the JDK offers them.
func TestProviders(t *testing.T) {
	javac, jar := disktest.Program(t, "javac", "openjdk-17-jdk-headless"), disktest.Program(t, "jar", "openjdk-17-jdk-headless")
	for name, test := range map[string]struct {
		body string
		want []string
	}{
		"plain": {`System.out.println(java.nio.file.Path.of("/"));`, nil},
		"tls":   {`new java.net.URL("https://localhost").openConnection();`, []string{"jdk.crypto.ec"}},
		"jar":   {`java.nio.file.FileSystems.newFileSystem(java.nio.file.Path.of("a.jar"));`, []string{"jdk.zipfs"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			source := filepath.Join(dir, "A.java")
			text := "class A { void a() throws Exception { " + test.body + " } }"
			if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			classes := filepath.Join(dir, "a.jar")
			disktest.Run(t, javac, "--release", "17", source)
			disktest.Run(t, jar, "cf", classes, "-C", dir, "A.class")
			if err := os.Mkdir(filepath.Join(dir, "jmods"), 0o755); err != nil {
				t.Fatal(err)
			}
			j := jdk{root: dir, home: "/"}
			if got, err := j.providersFor(classes); err != nil || len(got) > 0 {
				t.Errorf("from a JDK without them: %v, %v", got, err)
			}
			for _, p := range providers {
				if err := os.WriteFile(filepath.Join(dir, "jmods", p.module+".jmod"), nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := j.providersFor(classes)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("providers (-want +got):\n%s", diff)
			}
		})
	}
}
