package environment

import (
	"encoding/binary"
	"fmt"
	"io"
)

// The CD, sector by sector (ECMA-119). The system area before it is empty.
const (
	sectorVolume = iota + 16 // the primary volume descriptor
	sectorEnd                // the terminator of descriptors
	sectorPathL              // the path table, little-endian
	sectorPathM              // and big-endian
	sectorRoot               // the root directory
	sectorFile               // the document, to the end

	sectorSize = 2048
)

// fileName is that of the document, in the CD's own form. The hyphen is none of
// the letters that ECMA-119 (7.4.1) has; every system reads it, and it spares the
// CD a second name for the file.
const fileName = "OVF-ENV.XML;1"

// rootSelf and rootParent are the names of a directory in itself (6.8.2.2).
const (
	rootSelf   = "\x00"
	rootParent = "\x01"
)

// pathTableSize is that of a path table with the root alone (9.4), in bytes.
const pathTableSize = 10

// WriteCD writes an ISO 9660 CD whose only file is the document. The same
// document makes the same bytes.
func WriteCD(w io.Writer, document []byte) error {
	sectors := sectorFile + (len(document)+sectorSize-1)/sectorSize
	b := make([]byte, sectors*sectorSize)
	at := func(sector int) []byte { return b[sector*sectorSize : (sector+1)*sectorSize] }

	volume(at(sectorVolume), sectors)
	end := at(sectorEnd)
	end[0], end[6] = 255, 1
	copy(end[1:], "CD001")
	pathTable(at(sectorPathL), binary.LittleEndian)
	pathTable(at(sectorPathM), binary.BigEndian)
	root := at(sectorRoot)
	n := copy(root, record(rootSelf, sectorRoot, sectorSize, true))
	n += copy(root[n:], record(rootParent, sectorRoot, sectorSize, true))
	copy(root[n:], record(fileName, sectorFile, len(document), false))
	copy(b[sectorFile*sectorSize:], document)

	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("writing the CD: %w", err)
	}
	return nil
}

// volume fills the primary volume descriptor (8.4).
func volume(d []byte, sectors int) {
	text := func(offset, size int, s string) {
		for i := range size {
			d[offset+i] = ' '
		}
		copy(d[offset:offset+size], s)
	}
	d[0], d[6] = 1, 1 // the type and its version
	copy(d[1:], "CD001")
	text(8, 32, "")         // system
	text(40, 32, "OVF ENV") // volume
	both32(d[80:], sectors) // the size of the volume
	both16(d[120:], 1)      // volumes of the set
	both16(d[124:], 1)      // and the number of this one
	both16(d[128:], sectorSize)
	both32(d[132:], pathTableSize)
	binary.LittleEndian.PutUint32(d[140:], sectorPathL)
	binary.BigEndian.PutUint32(d[148:], sectorPathM)
	copy(d[156:], record(rootSelf, sectorRoot, sectorSize, true))
	text(190, 623, "") // the names of people and files: none
	for i := 813; i < 881; i += 17 {
		text(i, 16, "0000000000000000") // dates (8.4.26.1): none
	}
	d[881] = 1 // the version of the structure
}

// record is a directory record (9.1).
func record(name string, sector, size int, directory bool) []byte {
	r := make([]byte, 33+len(name)+1-len(name)%2)
	r[0] = byte(len(r))
	both32(r[2:], sector)
	both32(r[10:], size)
	r[18], r[19], r[20] = 80, 1, 1 // 1980-01-01, as all that imgbuild writes
	if directory {
		r[25] = 2
	}
	both16(r[28:], 1)
	r[32] = byte(len(name))
	copy(r[33:], name)
	return r
}

// pathTable fills a path table that has the root alone (9.4).
func pathTable(t []byte, order binary.ByteOrder) {
	t[0] = 1 // the length of the root's name, which is a zero
	order.PutUint32(t[2:], sectorRoot)
	order.PutUint16(t[6:], 1) // the root is its own parent
}

// both32 and both16 record a number in both orders of bytes (7.3.3, 7.2.3).
func both32(b []byte, n int) {
	binary.LittleEndian.PutUint32(b, uint32(n))
	binary.BigEndian.PutUint32(b[4:], uint32(n))
}

func both16(b []byte, n int) {
	binary.LittleEndian.PutUint16(b, uint16(n))
	binary.BigEndian.PutUint16(b[2:], uint16(n))
}
