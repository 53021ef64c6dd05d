package unpack

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A Debian package is an ar archive of three members in this order:
// debian-binary, control.tar and data.tar, the latter two with a suffix for
// the compression (deb(5), "FORMAT"). An ar archive is a magic and members of
// a header of 60 bytes and data, padded to an even length (ar(5)).
const (
	arMagic      = "!<arch>\n"
	arHeaderSize = 60
	arNameEnd    = 16 // name, padded with spaces
	arSizeStart  = 48 // size in decimal, padded with spaces
	arSizeEnd    = 58
	arTrailer    = "`\n"
)

// maxDebMembers bounds the search for data.tar; dpkg allows members whose
// names begin with an underscore in between.
const maxDebMembers = 16

// debData moves to the files of a package and returns them, compressed, with
// the suffix of the compression.
func debData(r io.Reader) (io.Reader, string, error) {
	magic := make([]byte, len(arMagic))
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != arMagic {
		return nil, "", fmt.Errorf("reading the package: it is not an ar archive")
	}
	for i := range maxDebMembers {
		name, size, err := arMember(r)
		if err != nil {
			return nil, "", fmt.Errorf("reading the package: member %d: %w", i, err)
		}
		if i == 0 {
			if err := debVersion(r, name, size); err != nil {
				return nil, "", fmt.Errorf("reading the package: %w", err)
			}
			continue
		}
		if suffix, ok := strings.CutPrefix(name, "data.tar"); ok {
			return io.LimitReader(r, size), suffix, nil
		}
		if _, err := io.CopyN(io.Discard, r, size+size%2); err != nil {
			return nil, "", fmt.Errorf("reading the package: %s: %w", name, err)
		}
	}
	return nil, "", fmt.Errorf("reading the package: it has no data.tar")
}

// arMember reads the header of a member.
func arMember(r io.Reader) (name string, size int64, err error) {
	var h [arHeaderSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return "", 0, err
	}
	if string(h[arSizeEnd:]) != arTrailer {
		return "", 0, fmt.Errorf("its header is damaged")
	}
	// GNU ar ends names with a slash, dpkg-deb does not.
	name = strings.TrimSuffix(strings.TrimRight(string(h[:arNameEnd]), " "), "/")
	size, err = strconv.ParseInt(strings.TrimRight(string(h[arSizeStart:arSizeEnd]), " "), 10, 64)
	if err != nil || size < 0 {
		return "", 0, fmt.Errorf("its size %q is not a number", h[arSizeStart:arSizeEnd])
	}
	return name, size, nil
}

// debVersion checks the first member: the format is 2.x, in a line of its own.
func debVersion(r io.Reader, name string, size int64) error {
	if name != "debian-binary" || size < 4 || size > 64 {
		return fmt.Errorf("it begins with %q, not with debian-binary", name)
	}
	b := make([]byte, size+size%2)
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	if !strings.HasPrefix(string(b), "2.") {
		return fmt.Errorf("its format %q is not 2.x", strings.TrimSpace(string(b)))
	}
	return nil
}
