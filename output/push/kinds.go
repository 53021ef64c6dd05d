package push

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/image"
	"github.com/imgbuild/imgbuild/disk/packed"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/members"
	"github.com/imgbuild/imgbuild/output/ovf"
)

// Types of artifacts. The media type of a disk has the container behind it, and
// the compression: application/vnd.imgbuild.disk.v1.raw.xz.
const (
	TypeDisk    = "application/vnd.imgbuild.disk.v1"
	TypePackage = "application/vnd.imgbuild.package.v1" // of OVF
)

// anything is the media type of files of a type that the caller names.
const anything = "application/octet-stream"

// kind is what a file is.
type kind struct{ artifact, media string }

// documents are kinds that the name of a file tells. The first one that fits
// counts.
var documents = []struct {
	suffix string
	kind
}{
	{".sarif", kind{"application/sarif+json", "application/sarif+json"}},
	{".spdx.json", kind{"application/spdx+json", "application/spdx+json"}},
	{".cdx.json", kind{"application/vnd.cyclonedx+json", "application/vnd.cyclonedx+json"}},
	{".json", kind{"application/json", "application/json"}},
	{".xml", kind{"application/xml", "application/xml"}},
	{".html", kind{"text/html", "text/html"}},
	{".txt", kind{"text/plain", "text/plain"}},
	{".raw", disks("raw")},
	{".img", disks("raw")},
}

func disks(suffix string) kind { return kind{TypeDisk, TypeDisk + "." + suffix} }

// head is how much of a file is looked at.
const head = 4096

// kindOf tells what a file is, from its content as far as that has a mark. With
// a type from the caller it need not be known.
func kindOf(path, artifactType string) (kind, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return kind{}, fault.New(fault.Input, fmt.Errorf("%s: it is a folder", path), "a folder must be an image: with index.json, as the OCI image layout has it")
	}
	f, err := disk.OpenFile(path)
	if err != nil {
		return kind{}, unreadable(err)
	}
	defer f.Close()
	p := make([]byte, head)
	n, err := f.ReadAt(p, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return kind{}, unreadable(fmt.Errorf("reading %s: %w", path, err))
	}
	k, ok := look(f, p[:n], strings.ToLower(filepath.Base(path)))
	switch {
	case ok:
		return k, nil
	case artifactType != "":
		return kind{artifactType, anything}, nil
	}
	return kind{}, fault.New(fault.Input, fmt.Errorf("%s is neither an image, a disk nor a known kind of document", path),
		"name its type with --type, or behind the file of --attach: FILE:application/…")
}

// look tells what the file of a name is.
func look(f disk.Reader, p []byte, name string) (kind, bool) {
	if members.Is(f) {
		return kind{TypePackage, TypePackage + ".ova"}, isOVA(f)
	}
	if ovf.IsDescriptor(p) {
		return kind{TypePackage, TypePackage + ".ovf"}, true
	}
	if c := packed.KindOf(p); c != "" {
		name, ok := strings.CutSuffix(name, "."+string(c))
		return disks("raw." + string(c)), ok && (strings.HasSuffix(name, ".raw") || strings.HasSuffix(name, ".img"))
	}
	// Everything without a mark is a raw disk there: its name must say so.
	if _, format, err := image.From(f, f.Size()); err == nil && format != "raw" {
		return disks(format), true
	}
	for _, d := range documents {
		if strings.HasSuffix(name, d.suffix) {
			return d.kind, true
		}
	}
	return kind{}, false
}

// isOVA reports whether an archive has a descriptor of OVF.
func isOVA(f disk.Reader) bool {
	list, err := members.Index(f, f.Size())
	if err != nil {
		return false
	}
	for _, m := range list {
		if strings.HasSuffix(strings.ToLower(m.Name), ".ovf") {
			return true
		}
	}
	return false
}

// mediaType is what RFC 6838, section 4.2, allows as one.
var mediaType = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$`)

// checkType checks what the caller calls an artifact; empty is allowed.
func checkType(artifactType string) error {
	if artifactType == "" || mediaType.MatchString(artifactType) {
		return nil
	}
	return fault.New(fault.Usage, fmt.Errorf("%q is no media type", artifactType), "a type is like application/vnd.example.report.v1+json")
}
