package packaged

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/xi2/xz"
)

const (
	// maxModule bounds an unpacked module; the largest of Debian's, amdgpu,
	// takes 16 MB.
	maxModule = 128 << 20
	// maxInfo bounds the section .modinfo; drivers with thousands of aliases
	// have 100 kB.
	maxInfo = 4 << 20
)

// info is what a module says about itself.
type info struct {
	depends []string // modules whose symbols it uses
	before  []string // softdep pre: modules or aliases to be loaded first, when there
	aliases []string // patterns of what it provides
}

// readModule returns the unpacked bytes of a module file.
func readModule(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	_, suffix, _ := moduleName(path)
	r := io.Reader(f)
	switch suffix {
	case ".gz":
		if r, err = gzip.NewReader(f); err != nil {
			return nil, fmt.Errorf("unpacking %s: %w", path, err)
		}
	case ".xz":
		// Not ulikunitz/xz: it does not know the x86 filter that some
		// distributions pack with.
		if r, err = xz.NewReader(f, 0); err != nil {
			return nil, fmt.Errorf("unpacking %s: %w", path, err)
		}
	case ".zst":
		z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxModule))
		if err != nil {
			return nil, fmt.Errorf("unpacking %s: %w", path, err)
		}
		defer z.Close()
		r = z
	}
	module, err := io.ReadAll(io.LimitReader(r, maxModule+1))
	if err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", path, err)
	}
	if len(module) > maxModule {
		return nil, fmt.Errorf("unpacking %s: more than %d bytes", path, maxModule)
	}
	return module, nil
}

// readInfo reads what a module file says about itself.
func readInfo(path string) (info, error) {
	if _, suffix, _ := moduleName(path); suffix == "" {
		f, err := os.Open(path)
		if err != nil {
			return info{}, err
		}
		defer f.Close()
		return wrapInfo(path, f)
	}
	module, err := readModule(path)
	if err != nil {
		return info{}, err
	}
	return wrapInfo(path, bytes.NewReader(module))
}

func wrapInfo(path string, r io.ReaderAt) (info, error) {
	i, err := parseInfo(r)
	if err != nil {
		return info{}, fmt.Errorf("reading module %s: %w", path, err)
	}
	return i, nil
}

// parseInfo reads the section .modinfo: strings key=value, each ended by a NUL
// (include/linux/moduleparam.h, __MODULE_INFO).
func parseInfo(r io.ReaderAt) (info, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return info{}, err
	}
	defer f.Close()
	s := f.Section(".modinfo")
	if s == nil {
		return info{}, errors.New("it has no section .modinfo")
	}
	if s.Type == elf.SHT_NOBITS || s.Size > maxInfo {
		return info{}, fmt.Errorf("its section .modinfo claims %d bytes", s.Size)
	}
	text, err := s.Data()
	if err != nil {
		return info{}, err
	}
	var i info
	for entry := range strings.SplitSeq(string(text), "\x00") {
		key, value, _ := strings.Cut(entry, "=")
		switch key {
		case "depends":
			i.depends = append(i.depends, strings.FieldsFunc(value, func(c rune) bool { return c == ',' })...)
		case "alias":
			i.aliases = append(i.aliases, value)
		case "softdep":
			i.before = append(i.before, softdepPre(value)...)
		}
	}
	return i, nil
}

// softdepPre returns the names behind "pre:" of "pre: a b post: c"
// (modprobe.d(5)). What is to come after cannot be needed to mount a root.
func softdepPre(value string) []string {
	var names []string
	pre := false
	for _, word := range strings.Fields(value) {
		switch word {
		case "pre:":
			pre = true
		case "post:":
			pre = false
		default:
			if pre {
				names = append(names, word)
			}
		}
	}
	return names
}
