package stages

import (
	"archive/zip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/stages/classfile"
)

// providers are modules of the JDK that only offer services: nothing refers to
// their classes, so jdeps does not find them. Each is kept when a class refers to
// a type that begins with one of these, by which the service is asked for. jlink's
// own --bind-services would take everything that offers anything.
var providers = []struct {
	module string
	types  []string
}{
	// Most servers on the network want elliptic curves: without them a TLS
	// handshake fails. Since JDK 22 they are in java.base.
	{"jdk.crypto.ec", []string{
		"javax/net/ssl/", "java/net/http/", "java/net/HttpURLConnection", "java/net/URLConnection",
		"java/security/Signature", "java/security/KeyPairGenerator", "java/security/KeyFactory", "java/security/cert/",
		"javax/crypto/KeyAgreement",
	}},
	// FileSystems.newFileSystem opens jars and other zip archives by it.
	{"jdk.zipfs", []string{"java/nio/file/FileSystems", "java/nio/file/spi/"}},
}

// providersFor returns the providers that the classes in jars of stubs ask for,
// as far as the JDK has them, sorted.
func (j jdk) providersFor(jars ...string) ([]string, error) {
	var found []string
	for _, jar := range jars {
		asked, err := providersAsked(jar)
		if err != nil {
			return nil, fmt.Errorf("looking for services: %w", err)
		}
		found = append(found, asked...)
	}
	found = slices.DeleteFunc(found, func(module string) bool {
		_, err := os.Stat(filepath.Join(j.root, j.home, "jmods", module+".jmod"))
		return err != nil
	})
	slices.Sort(found)
	return slices.Compact(found), nil
}

// providersAsked reads one jar of stubs.
func providersAsked(jar string) (found []string, err error) {
	z, err := zip.OpenReader(jar)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	for _, f := range z.File {
		b, err := readEntry(f, maxClass)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		c, err := classfile.Parse(b)
		if err != nil {
			continue // jdeps decides what to make of it
		}
		for _, p := range providers {
			if asks(c.Types, p.types) && !slices.Contains(found, p.module) {
				found = append(found, p.module)
			}
		}
	}
	return found, nil
}

// asks reports whether a type begins with one of the prefixes.
func asks(types, prefixes []string) bool {
	return slices.ContainsFunc(types, func(t string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(t, p) })
	})
}
