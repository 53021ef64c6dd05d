package ovf

import (
	"encoding/hex"
	"fmt"
	"io"
)

// manifestLine is how a manifest names a file and its digest: no blank before
// the bracket, as some importers take it for a part of the algorithm's name.
func (h hash) manifestLine(name, sum string) string {
	return fmt.Sprintf("%s(%s)= %s\n", h.name, name, sum)
}

// sum digests all of r, in hexadecimal.
func (h hash) sum(r io.Reader) (string, error) {
	digest := h.New()
	// The buffer is for readers that cannot write themselves into a hash.
	if _, err := io.CopyBuffer(digest, struct{ io.Reader }{r}, make([]byte, 1<<20)); err != nil {
		return "", err
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}

// manifest returns the text of NAME.mf.
func (d *descriptor) manifest(ovfName string, ovf []byte, files []diskFile) []byte {
	h := d.hash.New()
	h.Write(ovf)
	text := d.hash.manifestLine(ovfName, hex.EncodeToString(h.Sum(nil)))
	for _, f := range files {
		text += d.hash.manifestLine(f.name, f.sum)
	}
	return []byte(text)
}
