package ntfs

import (
	"context"
	"encoding/binary"
	"fmt"
	"io/fs"
	"time"

	"github.com/imgbuild/imgbuild/sanitize"
)

// Layout of the standard information, LAYOUT STANDARD_INFORMATION, and of a
// file name, LAYOUT FILE_NAME_ATTR.
const (
	offWritten     = 8
	standardTimes  = 0x20 // bytes: four times, then the attributes
	standardLen    = 0x30 // of version 1.2
	offSecurityID  = 0x34
	standardLenV3  = 0x48
	fileReadOnly   = 1
	ticksPerSecond = 10_000_000  // of 100 ns
	unixEpoch      = 11644473600 // seconds from 1601
	maxXattr       = 1 << 20     // bytes
)

// Walk reads the live tree with the system files, but for those that a scrub
// changes: the MFT, its mirror, and the log. A stream with a name is a file
// called path:name. Attributes that are no data have the names that ntfs-3g
// gives them. NTFS knows no owners and modes like those of Unix; the access
// control list counts through its number.
func (f *filesystem) Walk(ctx context.Context, fn func(sanitize.File) error) error {
	return f.descend(ctx, func(n *file, path string) ([]entry, error) {
		if n.num == fileMFT || n.num == fileMirror || n.num == fileLog {
			return nil, nil
		}
		if err := n.describe(path, fn); err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		if !n.isDir() {
			return nil, nil
		}
		var entries []entry
		_, err := f.index(ctx, n, nameIndex, func(e []entry) { entries = append(entries, e...) }, nil)
		return entries, err
	})
}

// describe calls fn with the file and with each of its streams.
func (n *file) describe(path string, fn func(sanitize.File) error) error {
	f := sanitize.File{Path: path, Mode: 0o777, ModTime: time.Unix(0, 0).UTC(), Xattrs: map[string][]byte{}}
	if n.isDir() {
		f.Mode |= fs.ModeDir
	}
	if err := n.standard(&f); err != nil {
		return err
	}
	for _, s := range n.streams {
		name := xattrName(s)
		if name == "" {
			continue
		}
		b, err := s.whole(maxXattr)
		if err != nil {
			return fmt.Errorf("reading attribute %#x: %w", s.kind, err)
		}
		f.Xattrs[name] = b
	}
	if !n.isDir() {
		f = opened(f, n.stream(attrData, ""))
	}
	if err := fn(f); err != nil {
		return err
	}
	for _, s := range n.streams {
		// The stream that maps bad clusters is as large as the volume.
		if s.kind != attrData || s.name == "" || n.num == fileBad {
			continue
		}
		g := sanitize.File{Path: streamPath(path, s.name), Mode: f.Mode.Perm(), ModTime: f.ModTime}
		if err := fn(opened(g, s)); err != nil {
			return err
		}
	}
	return nil
}

// opened returns f with the content of s, which may be nil.
func opened(f sanitize.File, s *stream) sanitize.File {
	if s == nil {
		s = &stream{}
	}
	f.Size = s.size
	f.Open = func() (sanitize.Content, error) { return s.content(), nil }
	return f
}

// standard fills in what the standard information says.
func (n *file) standard(f *sanitize.File) error {
	s := n.stream(attrStandard, "")
	if s == nil {
		return nil // the first extension records of an old volume have none
	}
	if !s.resident() || s.size < standardLen {
		return fmt.Errorf("standard information of %d bytes", s.size)
	}
	le, b := binary.LittleEndian, s.value
	ticks := int64(le.Uint64(b[offWritten:]))
	f.ModTime = time.Unix(ticks/ticksPerSecond-unixEpoch, ticks%ticksPerSecond*100).UTC()
	if le.Uint32(b[standardTimes:])&fileReadOnly != 0 {
		f.Mode &^= 0o222
	}
	f.Xattrs["system.ntfs_times"] = b[:standardTimes]
	f.Xattrs["system.ntfs_attrib"] = b[standardTimes : standardTimes+4]
	if s.size >= standardLenV3 {
		f.Xattrs["system.ntfs_security_id"] = b[offSecurityID : offSecurityID+4]
	}
	return nil
}

// xattrName returns the name of an attribute that counts as one of the file,
// or "".
func xattrName(s *stream) string {
	switch s.kind {
	case attrObjectID:
		return "system.ntfs_object_id"
	case attrSecurity:
		return "system.ntfs_acl"
	case attrReparse:
		return "system.ntfs_reparse_data"
	case attrEA:
		return "system.ntfs_ea"
	case attrLogged:
		return "system.ntfs_logged:" + s.name
	case attrFileName:
		if len(s.value) > keyNameOff && s.value[offKeyNamespace] == namespaceDOS {
			return "system.ntfs_dos_name"
		}
	}
	return ""
}
