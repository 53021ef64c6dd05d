package sanitize

import (
	"context"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
)

// Replayer is a driver that can finish what a log has pending.
type Replayer interface {
	// Replay returns the volume as it is once its log has been replayed. It
	// returns nil when r is another driver's, or has nothing pending, and an
	// error that wraps ErrRefused when the log cannot be trusted.
	Replay(ctx context.Context, r disk.Reader) (Replayed, error)
}

// Replayed is a disk whose logs have been replayed, in memory at first.
type Replayed interface {
	disk.Reader
	// Apply makes the same changes on w, in an order that may be cut off: until
	// the last of them the log is replayed anew.
	Apply(ctx context.Context, w disk.Writer) error
}

// Replay replays the logs of all volumes of r, which is only read. It returns
// nil when none has anything pending.
func Replay(ctx context.Context, r disk.Reader, drivers []Driver) (Replayed, error) {
	volumes := []disk.Extent{{Len: r.Size()}}
	t, err := readTable(r)
	if err != nil {
		return nil, fmt.Errorf("reading the partition table: %w", err)
	}
	if t != nil {
		volumes = nil
		for _, it := range t.items {
			if it.volume != nil {
				volumes = append(volumes, it.volume.Extent)
			}
		}
	}
	d := &replayedDisk{}
	var parts []disk.Reader
	var at int64
	for _, v := range volumes {
		part, err := replayVolume(ctx, disk.Section(r, v.Off, v.Len), drivers)
		if err != nil {
			return nil, fmt.Errorf("replaying the log of the volume at byte %d: %w", v.Off, err)
		}
		if part == nil {
			continue
		}
		d.volumes = append(d.volumes, replayedVolume{v, part})
		parts = append(parts, disk.Section(r, at, v.Off-at), part)
		at = v.End()
	}
	if len(d.volumes) == 0 {
		return nil, nil
	}
	d.Reader = disk.Concat(append(parts, disk.Section(r, at, r.Size()-at))...)
	return d, nil
}

// replayVolume asks the drivers in turn.
func replayVolume(ctx context.Context, r disk.Reader, drivers []Driver) (Replayed, error) {
	for _, d := range drivers {
		p, ok := d.(Replayer)
		if !ok {
			continue
		}
		if part, err := p.Replay(ctx, r); part != nil || err != nil {
			return part, err
		}
	}
	return nil, nil
}

// replayedVolume is a volume in its place.
type replayedVolume struct {
	disk.Extent
	part Replayed
}

type replayedDisk struct {
	disk.Reader
	volumes []replayedVolume
}

// Apply implements [Replayed].
func (d *replayedDisk) Apply(ctx context.Context, w disk.Writer) error {
	for _, v := range d.volumes {
		if err := v.part.Apply(ctx, disk.SectionWriter(w, v.Off, v.Len)); err != nil {
			return fmt.Errorf("replaying the log of the volume at byte %d: %w", v.Off, err)
		}
	}
	return nil
}
