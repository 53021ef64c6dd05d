package xva

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
)

// Archive is an archive that was opened. What it tells must not be changed.
type Archive struct {
	// Description is the content of ova.xml.
	Description []byte
	// Disks are in the order of the archive.
	Disks []Disk

	r io.ReaderAt
}

// Disk is a disk in an archive.
type Disk struct {
	// Name is that of its folder.
	Name string
	// Checksum is the kind of its checksums; empty when it has none.
	Checksum Checksum

	chunks []chunk // ascending
	last   int64   // number of the last chunk
	end    int64   // behind the last chunk, in bytes of the disk
	open   bool    // the last chunk has content and waits for its checksum
}

// chunk is a member that holds a piece of a disk. Offsets are in bytes.
type chunk struct {
	off   int64 // in the disk
	at, n int64 // in the archive
	sum   int64 // of its checksum in the archive; 0 when it has none
}

// Is reports whether head, the first 512 bytes of a file or more, begins an
// archive.
func Is(head []byte) bool {
	const magicAt = 257 // the field magic of a ustar header
	return len(head) >= tarBlock && strings.HasPrefix(string(head), DescriptionName+"\x00") && string(head[magicAt:][:5]) == "ustar"
}

// Bounds of what is read. The memory for an index is a small part of the file:
// each chunk has a header of its own.
const (
	maxNumber = 1 << 32
	maxChunk  = 1 << 30
	maxDisks  = 1024
)

// Open reads the headers of the archive in the n bytes of r.
func Open(r io.ReaderAt, n int64) (*Archive, error) {
	a := &Archive{r: r}
	section := io.NewSectionReader(r, 0, n)
	// The reader of headers takes whole blocks and looks no further: where it
	// stands is where the content begins.
	t := tar.NewReader(section)
	for count := 0; ; count++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading member %d of the XVA: %w", count, err)
		}
		at, err := section.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		if err := a.add(count, h, at, n-at); err != nil {
			return nil, fmt.Errorf("reading the XVA: %s: %w", h.Name, err)
		}
	}
	if a.Description == nil {
		return nil, errors.New("reading the XVA: it is empty")
	}
	return a, nil
}

// add takes a member of the archive, behind whose beginning room bytes follow.
func (a *Archive) add(count int, h *tar.Header, at, room int64) error {
	name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
	switch {
	case h.Typeflag == tar.TypeDir:
		return nil
	case h.Typeflag != tar.TypeReg || sparse(h):
		return errors.New("it is no plain file")
	case h.Size < 0 || h.Size > room:
		return fmt.Errorf("it has %d bytes, the archive ends %d bytes behind its beginning", h.Size, room)
	case a.Description == nil && name != DescriptionName:
		return errors.New(DescriptionName + " is not the first member")
	case a.Description == nil:
		return a.readDescription(at, h.Size)
	}
	folder, file := path.Split(name)
	folder = strings.TrimSuffix(folder, "/")
	number, kind, _ := strings.Cut(file, ".")
	i, err := strconv.ParseUint(number, 10, 64)
	if folder == "" || err != nil {
		return nil // such as the list of checksums that the first exports had
	}
	if i >= maxNumber {
		return fmt.Errorf("chunk %d is beyond any disk", i)
	}
	if kind != "" {
		return a.addSum(folder, int64(i), Checksum(kind), at, h.Size)
	}
	d, err := a.disk(folder)
	if err != nil {
		return err
	}
	return d.add(int64(i), at, h.Size)
}

func (a *Archive) readDescription(at, n int64) error {
	if n == 0 || n > MaxDescription {
		return fmt.Errorf("a description of %d bytes is out of range", n)
	}
	a.Description = make([]byte, n)
	if _, err := a.r.ReadAt(a.Description, at); err != nil {
		return fmt.Errorf("reading the description: %w", err)
	}
	return nil
}

// disk returns the disk of a folder, which is the last one or a new one.
func (a *Archive) disk(folder string) (*Disk, error) {
	if k := len(a.Disks); k > 0 && a.Disks[k-1].Name == folder {
		return &a.Disks[k-1], nil
	}
	for _, d := range a.Disks {
		if d.Name == folder {
			return nil, errors.New("the chunks of its disk are not together")
		}
	}
	if len(a.Disks) == maxDisks {
		return nil, fmt.Errorf("there are more than %d disks", maxDisks)
	}
	a.Disks = append(a.Disks, Disk{Name: folder, last: -1})
	return &a.Disks[len(a.Disks)-1], nil
}

// add takes chunk i. Chunks that were left out are as long as the first one;
// one without content only uses up its number.
func (d *Disk) add(i, at, n int64) error {
	if i <= d.last {
		return fmt.Errorf("it comes behind chunk %d", d.last)
	}
	if n > maxChunk {
		return fmt.Errorf("a chunk of %d bytes is too long", n)
	}
	if left := i - d.last - 1; left > 0 {
		if len(d.chunks) == 0 {
			return errors.New("the first chunk of its disk is missing")
		}
		d.end += left * d.chunks[0].n
	}
	if d.end > MaxSize-n {
		return fmt.Errorf("it lies beyond %d bytes", int64(MaxSize))
	}
	if n > 0 {
		d.chunks = append(d.chunks, chunk{off: d.end, at: at, n: n})
	}
	d.last, d.end, d.open = i, d.end+n, n > 0
	return nil
}

// addSum takes the checksum of the last chunk.
func (a *Archive) addSum(folder string, i int64, kind Checksum, at, n int64) error {
	const longest = 64
	if kind != SHA1 && kind != XXH64 {
		return nil // a host would pass over no such member, but it holds no data
	}
	if k := len(a.Disks); k == 0 || a.Disks[k-1].Name != folder || a.Disks[k-1].last != i {
		return errors.New("it does not follow its chunk")
	}
	d := &a.Disks[len(a.Disks)-1]
	if d.Checksum == "" {
		d.Checksum = kind
	}
	if d.Checksum != kind || n > longest {
		return errors.New("it is not like the other checksums of its disk")
	}
	if d.open { // that of a chunk without content is of no use
		d.chunks[len(d.chunks)-1].sum = at
	}
	d.open = false
	return nil
}

// sparse tells members that are stored in pieces.
func sparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}
