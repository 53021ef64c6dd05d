package ntfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// openMFT finds the records. The first one describes the MFT itself, and its
// first part maps the records that may hold the others.
func (f *filesystem) openMFT() error {
	b := make([]byte, f.recordSize)
	if err := sanitize.ReadFull(f.r, b, f.mftAt*f.cluster); err != nil {
		return err
	}
	if !inUse(b) {
		return errors.New("the first record is not in use")
	}
	r, err := parseRecord(fileMFT, b)
	if err != nil {
		return err
	}
	for _, a := range r.attrs {
		if a.kind == attrData && a.name == "" && !a.resident && a.lowest == 0 {
			if f.mft, err = f.newStream(a); err != nil {
				return err
			}
		}
	}
	if f.mft == nil {
		return errors.New("the first record maps no records")
	}
	n, err := f.collect(r)
	if err != nil {
		return err
	}
	f.mft, f.mftBits = n.stream(attrData, ""), n.stream(attrBitmap, "")
	if !f.isPlain(f.mft) || f.records() < fileFirstAny {
		return fmt.Errorf("%d records are not mapped", f.records())
	}
	return nil
}

// Layout of the volume's own attribute, LAYOUT VOLUME_INFORMATION.
const (
	offMajor         = 8
	offVolumeFlags   = 10
	volumeDirty      = 0x0001
	volumeChkdsk     = 0x4000 // chkdsk is at work
	volumeInfoLen    = 12
	maxVolumeName    = 256
	supportedVersion = 3
)

// checkState refuses a volume that Windows has work to do on.
func (f *filesystem) checkState(ctx context.Context) error {
	n, err := f.file(fileVolume)
	if err != nil {
		return err
	}
	info := n.stream(attrVolumeInfo, "")
	if info == nil || !info.resident() || len(info.value) < volumeInfoLen {
		return errors.New("the volume has no information about itself")
	}
	if major := info.value[offMajor]; major < 1 || major > supportedVersion {
		return fmt.Errorf("NTFS version %d is not supported", major)
	}
	if binary.LittleEndian.Uint16(info.value[offVolumeFlags:])&(volumeDirty|volumeChkdsk) != 0 {
		return refused("the volume is marked dirty", repairHint)
	}
	if s := n.stream(attrVolumeName, ""); s != nil && s.size <= maxVolumeName {
		f.label = utf16Name(s.value)
	}
	if err := f.checkLog(); err != nil {
		return err
	}
	if err := f.checkMirror(); err != nil {
		return err
	}
	return f.checkHibernation(ctx)
}

// checkMirror compares the copies of the first records with what they are
// copies of, as ntfs-3g does at mount.
func (f *filesystem) checkMirror() error {
	n, err := f.file(fileMirror)
	if err != nil {
		return err
	}
	s := n.stream(attrData, "")
	if !f.isPlain(s) || s.limit() < f.recordSize {
		return errors.New("the mirror of the MFT is not mapped")
	}
	place := func(e disk.Extent, at int64) error {
		f.mirrored = append(f.mirrored, disk.Extent{Off: at, Len: e.Len})
		return nil
	}
	for _, c := range []*stream{f.mft, s} {
		if err := c.eachRun(0, min(s.limit(), f.mft.limit()), place); err != nil {
			return err
		}
	}
	b := make([]byte, f.recordSize)
	for i := range min(s.limit()/f.recordSize, f.records()) {
		if err := s.read(b, i*f.recordSize); err != nil {
			return err
		}
		r, err := f.record(i)
		if err != nil && i < 4 {
			return err
		}
		if err != nil {
			continue // not in use: an old copy does no harm
		}
		if !inUse(b) {
			return refused("the mirror of the MFT differs", repairHint)
		}
		if same, err := sameRecord(r, b); err != nil {
			return err
		} else if !same {
			return refused("the mirror of the MFT differs", repairHint)
		}
	}
	return nil
}

// sameRecord compares a record with its copy b.
func sameRecord(r *record, b []byte) (bool, error) {
	m, err := parseRecord(r.num, b)
	if err != nil || m.seq != r.seq {
		return false, nil
	}
	x, err := r.content()
	if err != nil {
		return false, err
	}
	y, err := m.content()
	return err == nil && bytes.Equal(x, y), nil
}

// checkHibernation looks for the image of a system that will go on as if
// nothing had happened.
func (f *filesystem) checkHibernation(ctx context.Context) error {
	n, err := f.file(fileRoot)
	if err != nil {
		return fmt.Errorf("reading the root directory: %w", err)
	}
	var ref reference
	found := false
	_, err = f.index(ctx, n, nameIndex, func(entries []entry) {
		for _, e := range entries {
			if strings.EqualFold(e.name, "hiberfil.sys") {
				ref, found = e.ref, true
			}
		}
	}, nil)
	if err != nil || !found {
		return err
	}
	r, err := f.referred(ref)
	if err != nil {
		return err
	}
	if n, err = f.collect(r); err != nil {
		return err
	}
	s, b := n.stream(attrData, ""), make([]byte, 4)
	if s == nil || s.size < int64(len(b)) {
		return nil
	}
	if err := sanitize.ReadFull(s.content(), b, 0); err != nil {
		return err
	}
	// A resumed system leaves WAKE or zeros.
	if m := strings.ToLower(string(b)); m == "hibr" || m == "rstr" {
		return refused("the volume holds a hibernated Windows", "start Windows, switch fast startup off, and shut it down with `shutdown /s`")
	}
	return nil
}
