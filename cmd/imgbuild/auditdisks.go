package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/source"
	"github.com/imgbuild/imgbuild/sanitize/audit"
)

// openAudited opens a disk image, a package or an archive, and chooses the disks
// in it that are audited: all that have a file, or the one of that name.
func openAudited(ctx context.Context, path, name string) (*source.Source, []source.Disk, error) {
	src, err := source.Open(ctx, path)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	var disks []source.Disk
	if name == "" {
		for _, d := range src.Disks {
			if !d.Blank {
				disks = append(disks, d)
			}
		}
	}
	if len(disks) < 2 {
		d, err := src.One(name)
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("%s: %w", path, err), src.Close())
		}
		disks = []source.Disk{d}
	}
	return src, disks, nil
}

// auditPackage audits all disks of a package, one after the other.
func (c *cli) auditPackage(ctx context.Context, path string, disks []source.Disk, opts audit.Options, f *auditFlags) error {
	if f.html != "" || f.before != "" || f.extract != "" {
		var names []string
		for _, d := range disks {
			names = append(names, d.Name)
		}
		return fault.New(fault.Usage, fmt.Errorf("--html, --before and --extract are for one disk, and %s holds %d", path, len(disks)),
			"name one with --disk: "+strings.Join(names, ", "))
	}
	var reports []*audit.Report
	for _, d := range disks {
		r, format, err := d.Open()
		if err != nil {
			return fmt.Errorf("opening disk %s of %s: %w", d.Name, path, source.Unreadable(path, err))
		}
		report, err := audit.Run(ctx, r, opts)
		if err != nil {
			return fmt.Errorf("auditing disk %s of %s: %w", d.Name, path, err)
		}
		report.Path, report.Disk, report.Format = path, d.Name, format
		reports = append(reports, report)
	}
	if err := f.write(nil, reports...); err != nil {
		return err
	}
	p := audit.NewPackage(path, reports)
	var err error
	if c.json {
		err = writeJSON(c.stdout, p)
	} else {
		err = p.WriteTable(c.stdout)
	}
	return errors.Join(err, p.Err())
}
