package ntfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Remnants implements [sanitize.Rememberer]: the names that the MFT records of
// deleted files still hold. Deleting a file clears one bit of its record.
func (f *filesystem) Remnants(ctx context.Context, fn func(sanitize.Remnant) error) error {
	b := make([]byte, f.recordSize)
	for num := range f.records() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f.mft.read(b, num*f.recordSize); err != nil {
			return fmt.Errorf("reading MFT record %d: %w", num, err)
		}
		if !hasHeader(b) || inUse(b) {
			continue
		}
		for _, n := range deletedNames(b) {
			// A record may be larger than a cluster.
			err := f.mft.eachRun(num*f.recordSize+n.off, 1, func(_ disk.Extent, at int64) error {
				return fn(sanitize.Remnant{Name: n.name, Off: at, Where: fmt.Sprintf("MFT record %d", num)})
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// deletedName is a name at a byte of a record.
type deletedName struct {
	name string
	off  int64
}

// deletedNames returns the names in b, a record that is not in use. It is read
// as far as it makes sense: nobody vouches for it. It changes b.
func deletedNames(b []byte) []deletedName {
	if _, err := unprotect(b); err != nil {
		return nil
	}
	le := binary.LittleEndian
	var names []deletedName
	for off := int(le.Uint16(b[offAttributes:])); off >= recordHeader && off+4 <= len(b) && le.Uint32(b[off:]) != attrEnd; {
		a, err := parseAttribute(b[off:])
		if err != nil {
			break
		}
		// The key of an index of names is a copy of the attribute.
		if v := a.value; a.kind == attrFileName && len(v) > keyNameOff && v[offKeyNamespace] != namespaceDOS {
			chars := v[keyNameOff:]
			chars = chars[:min(len(chars)&^1, 2*int(v[offKeyNameLen]))]
			at := off + int(le.Uint16(a.raw[offValueOff:])) + keyNameOff
			if len(bytes.TrimLeft(chars, "\x00")) > 0 {
				names = append(names, deletedName{utf16Name(chars), int64(at)})
			}
		}
		off += len(a.raw)
	}
	return names
}
