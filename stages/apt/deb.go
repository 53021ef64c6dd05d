package apt

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Bounds of what [Read] takes from a package file.
const (
	maxControl    = 1 << 20 // bytes of the control file
	maxCopyright  = 4 << 20 // bytes of one licence file
	maxCopyrights = 1 << 10 // number of licence files
	maxEntries    = 1 << 20 // number of files in a package
	maxWindow     = 128 << 20
)

// Info is what a package says of itself.
type Info struct {
	Package       string
	Version       string
	Architecture  string
	Source        string // source package; the package itself when it names none
	SourceVersion string
	Homepage      string
	// Copyrights are the licence files usr/share/doc/*/copyright by path. A
	// package whose folder there is a link to another's has none.
	Copyrights map[string][]byte
}

// Read reads a package file (deb(5)): its control data and licence files.
func Read(r io.Reader) (*Info, error) {
	info, err := read(r)
	if err != nil {
		return nil, fmt.Errorf("reading Debian package: %w", err)
	}
	return info, nil
}

func read(r io.Reader) (*Info, error) {
	magic := make([]byte, 8)
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != "!<arch>\n" {
		return nil, errors.New("it is not an ar archive")
	}
	info := &Info{Copyrights: map[string][]byte{}}
	control := false
	for {
		name, size, err := member(r)
		if err == io.EOF && control {
			return nil, errors.New("it has no data")
		}
		if err == io.EOF {
			return nil, errors.New("it has no control data")
		}
		if err != nil {
			return nil, err
		}
		body := io.LimitReader(r, size)
		switch {
		case strings.HasPrefix(name, "control.tar"):
			if err := info.readControl(name, body); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			control = true
		case strings.HasPrefix(name, "data.tar") && control:
			if err := info.readData(name, body); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			return info, nil
		}
		// What is left of the member, and its padding to an even length.
		if _, err := io.Copy(io.Discard, body); err != nil {
			return nil, err
		}
		if size%2 == 1 {
			if _, err := io.CopyN(io.Discard, r, 1); err != nil {
				return nil, io.ErrUnexpectedEOF
			}
		}
	}
}

// member reads the header of an archive member (ar(5)): 16 bytes of name, 32
// of no interest, 10 of size, 2 of magic.
func member(r io.Reader) (name string, size int64, err error) {
	var h [60]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return "", 0, err
	}
	if h[58] != '`' || h[59] != '\n' {
		return "", 0, errors.New("a member of the archive has a bad header")
	}
	size, err = strconv.ParseInt(strings.TrimSpace(string(h[48:58])), 10, 64)
	if err != nil || size < 0 {
		return "", 0, errors.New("a member of the archive has a bad size")
	}
	return strings.TrimRight(string(h[:16]), " /"), size, nil
}

// openTar decompresses by the member's extension.
func openTar(name string, r io.Reader) (*tar.Reader, func(), error) {
	switch path.Ext(name) {
	case ".tar":
		return tar.NewReader(r), func() {}, nil
	case ".gz":
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, err
		}
		return tar.NewReader(z), func() {}, nil
	case ".xz":
		z, err := xz.ReaderConfig{DictCap: 1 << 20}.NewReader(r)
		if err != nil {
			return nil, nil, err
		}
		return tar.NewReader(z), func() {}, nil
	case ".zst":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, err
		}
		return tar.NewReader(z), z.Close, nil
	}
	return nil, nil, fmt.Errorf("the compression %s is not known", path.Ext(name))
}

// each calls f with every regular file of a member that is a tar.
func each(name string, r io.Reader, f func(name string, r io.Reader) error) error {
	tr, done, err := openTar(name, r)
	if err != nil {
		return err
	}
	defer done()
	for range maxEntries {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := f(path.Clean("/" + h.Name)[1:], tr); err != nil {
			return err
		}
	}
	return fmt.Errorf("it has more than %d files", maxEntries)
}

func (i *Info) readControl(name string, r io.Reader) error {
	err := each(name, r, func(name string, r io.Reader) error {
		if name != "control" {
			return nil
		}
		text, err := readBounded(r, maxControl)
		if err != nil {
			return err
		}
		list := paragraphs(string(text))
		if len(list) != 1 {
			return errors.New("the control file does not hold one paragraph")
		}
		i.set(list[0])
		return nil
	})
	if err == nil && (i.Package == "" || i.Version == "") {
		return errors.New("it names no package and version")
	}
	return err
}

// set takes the fields over. Source is "name" or "name (version)" (Debian
// Policy 5.6.1).
func (i *Info) set(fields map[string]string) {
	i.Package, i.Version = fields["package"], fields["version"]
	i.Architecture, i.Homepage = fields["architecture"], fields["homepage"]
	i.Source, i.SourceVersion = i.Package, i.Version
	if source := fields["source"]; source != "" {
		name, version, ok := strings.Cut(source, " (")
		i.Source = name
		if ok {
			i.SourceVersion = strings.TrimSuffix(version, ")")
		}
	}
}

func (i *Info) readData(name string, r io.Reader) error {
	return each(name, r, func(name string, r io.Reader) error {
		if ok, _ := path.Match("usr/share/doc/*/copyright", name); !ok {
			return nil
		}
		if len(i.Copyrights) == maxCopyrights {
			return fmt.Errorf("it has more than %d licence files", maxCopyrights)
		}
		text, err := readBounded(r, maxCopyright)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		i.Copyrights[name] = text
		return nil
	})
}

func readBounded(r io.Reader, limit int64) ([]byte, error) {
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, fmt.Errorf("it is longer than %d bytes", limit)
	}
	return b.Bytes(), nil
}
