package rpm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Installed reads what rpm's database holds of an installed package: its header,
// without the magic ahead of it.
func Installed(blob []byte) (Info, error) {
	h, err := readHeader(io.MultiReader(strings.NewReader(headerMagic), bytes.NewReader(blob)), maxHeader)
	if err != nil {
		return Info{}, fmt.Errorf("reading the header of an installed package: %w", err)
	}
	i := Info{Name: h.text(tagName), Epoch: h.number(tagEpoch), Version: h.text(tagVersion), Release: h.text(tagRelease), Arch: h.text(tagArch)}
	if i.Name == "" || i.Version == "" {
		return i, errors.New("reading the header of an installed package: it names no package and version")
	}
	return i, nil
}
