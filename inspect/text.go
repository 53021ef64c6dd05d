package inspect

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/imgbuild/imgbuild/output/ovf"
)

// WriteText writes the report for people to read.
func (r *Report) WriteText(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: %s, %s, %s on disk\n", plain(r.Path), r.Format, size(r.Size), size(r.Allocated))
	if len(r.Beside) > 0 {
		fmt.Fprintf(&b, "with %s\n", plain(strings.Join(r.Beside, ", ")))
	}
	if r.Package != nil {
		r.Package.write(&b)
	}
	for _, d := range r.Disks {
		d.write(&b)
	}
	for _, im := range r.Images {
		im.write(&b)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// table collects rows of cells that are aligned.
type table struct {
	w *tabwriter.Writer
}

func newTable(b *bytes.Buffer) table { return table{tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)} }

// row writes a row behind an indent. Cells are shown as [plain] text.
func (t table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = plain(c)
	}
	// Blanks at the end of lines help nobody.
	for len(cells) > 0 && cells[len(cells)-1] == "" {
		cells = cells[:len(cells)-1]
	}
	fmt.Fprintf(t.w, "  %s\n", strings.Join(cells, "\t"))
}

// fact writes a row of a name and a value, unless the value is empty.
func (t table) fact(name, value string) {
	for line := range strings.Lines(value) {
		t.row(name, strings.TrimRight(line, "\n"))
		name = ""
	}
}

func (t table) flush() { t.w.Flush() }

func (p *Package) write(b *bytes.Buffer) {
	kind := "package"
	if p.Version != "" {
		kind = "package OVF " + p.Version
	}
	fmt.Fprintf(b, "\n%s, descriptor %s\n", kind, plain(p.Descriptor))
	t := newTable(b)
	t.fact("manifest", verdict(p.Manifest))
	t.fact("", strings.Join(p.Manifest.Problems, "\n"))
	t.writeSignature(p.Manifest.Signature)
	t.fact("networks", strings.Join(p.Networks, ", "))
	t.fact("options", strings.Join(options(p.Options), ", "))
	t.fact("languages", strings.Join(p.Languages, ", "))
	for i, note := range p.Notes {
		name := ""
		if i == 0 {
			name = "notes"
		}
		t.fact(name, note)
	}
	t.flush()
	for _, m := range p.Machines {
		writeMachine(b, m)
	}
}

// options are the deployment options, of which one is the default.
func options(list []ovf.Option) []string {
	var ids []string
	for _, o := range list {
		if o.Default {
			o.ID += " (default)"
		}
		ids = append(ids, o.ID)
	}
	return ids
}

func verdict(v ovf.Verdict) string {
	text := v.State
	if v.Algorithm != "" {
		text += ", " + v.Algorithm
	}
	if v.Signed && v.Signature == nil {
		text += ", with a signature that cannot be read"
	}
	return text
}

// writeSignature tells who signed. That the signature is theirs is part of the
// verdict on the manifest; that they are who they say is for the reader.
func (t table) writeSignature(s *ovf.Signature) {
	if s == nil {
		return
	}
	t.fact("signed by", s.Signer)
	by := s.Issuer
	if s.SelfSigned {
		by = "nobody else: the certificate is self-signed"
	}
	t.fact("vouched for by", by)
	t.fact("valid", s.NotBefore.Format(time.DateOnly)+" to "+s.NotAfter.Format(time.DateOnly))
	t.fact("fingerprint", "sha256:"+s.Fingerprint)
}

func writeMachine(b *bytes.Buffer, m ovf.Machine) {
	name := m.Name
	if name == "" {
		name = m.ID
	}
	fmt.Fprintf(b, "\nmachine %s\n", plain(name))
	t := newTable(b)
	t.fact("product", join(" ", m.Product, m.Version))
	t.fact("vendor", m.Vendor)
	t.fact("about", m.Annotation)
	t.fact("system", m.OS)
	t.fact("hardware", join(", ", m.System, m.Firmware))
	t.fact("processors", strconv.Itoa(m.CPUs))
	t.fact("memory", size(m.Memory))
	t.fact("controllers", strings.Join(m.Controllers, ", "))
	for _, a := range m.Adapters {
		t.fact("network card", join(" on ", a.Model, a.Network))
	}
	t.fact("disks", strings.Join(m.Disks, ", "))
	if m.Licenses > 0 {
		t.fact("licenses", fmt.Sprintf("%d to agree to", m.Licenses))
	}
	for _, p := range m.Properties {
		t.fact("property", join(", ", p.Key, p.Type, p.Qualifiers, p.Label))
	}
	if len(m.Properties) > 0 {
		t.fact("handed over by", strings.Join(m.Transports, ", "))
	}
	t.flush()
}

func (d *Disk) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "\ndisk %s\n", plain(join(", ", d.Name, d.Format, size(d.Size), size(d.Data)+" of data")))
	if d.Error != "" {
		fmt.Fprintf(b, "  %s\n", plain(d.Error))
		return
	}
	t := newTable(b)
	if d.Table != nil {
		t.fact("table", strings.ToUpper(string(d.Table.Scheme))+" "+d.Table.ID)
		t.fact("", strings.Join(d.Table.Notes, "\n"))
	}
	t.flush()
	d.writeVolumes(b)
	d.writeClasses(b)
}

func (d *Disk) writeVolumes(b *bytes.Buffer) {
	if len(d.Volumes) == 0 {
		return
	}
	t := newTable(b)
	t.row("#", "offset", "size", "filesystem", "label", "name", "type", "guid")
	for _, v := range d.Volumes {
		kind := v.TypeName
		if kind == "" {
			kind = v.Type
		}
		if v.Active {
			kind += ", active"
		}
		filesystem := v.Filesystem
		switch {
		case v.Error != "":
			filesystem += " (unreadable)"
		case filesystem == "":
			filesystem = "not recognised"
		}
		t.row(strconv.Itoa(v.Index), size(v.Offset), size(v.Size), filesystem, v.Label, v.Name, kind, v.GUID)
	}
	t.flush()
	for _, v := range d.Volumes {
		v.writeContent(b)
	}
}

// writeContent writes what a volume holds.
func (v *Volume) writeContent(b *bytes.Buffer) {
	if v.Index == 0 {
		fmt.Fprintf(b, "\n  whole disk\n")
	} else {
		fmt.Fprintf(b, "\n  partition %d\n", v.Index)
	}
	if v.Error != "" {
		fmt.Fprintf(b, "    %s\n", plain(v.Error))
	}
	var classes []string
	for _, c := range v.Classes {
		classes = append(classes, c.Class.String()+" "+size(c.Bytes))
	}
	fmt.Fprintf(b, "    %s\n", strings.Join(classes, ", "))
	t := newTable(b)
	for _, f := range v.Files {
		t.row("  "+f.Path, size(f.Size))
	}
	if len(v.Files) == maxBootFiles {
		t.row("  and more")
	}
	t.flush()
}

func (d *Disk) writeClasses(b *bytes.Buffer) {
	if len(d.Classes) == 0 {
		return
	}
	b.WriteByte('\n')
	t := newTable(b)
	t.row("class", "bytes", "not zero")
	var residue int64
	for _, c := range d.Classes {
		t.row(c.Class.String(), strconv.FormatInt(c.Bytes, 10), strconv.FormatInt(c.NonZero, 10))
		if c.Class.Dead() {
			residue += c.NonZero
		}
	}
	t.flush()
	if residue == 0 {
		fmt.Fprintln(b, "  no residue: every dead byte is zero")
	} else {
		fmt.Fprintf(b, "  residue: %d dead bytes are not zero\n", residue)
	}
}

func (im *Image) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "\nimage %s\n", plain(join(", ", append(slices.Clone(im.Names), im.Platform)...)))
	t := newTable(b)
	t.fact("digest", im.Digest)
	if im.Created != nil {
		t.fact("created", im.Created.UTC().Format(time.RFC3339))
	}
	t.fact("user", im.User)
	t.fact("entry point", words(im.Entrypoint))
	t.fact("arguments", words(im.Cmd))
	t.fact("folder", im.WorkingDir)
	t.fact("environment", words(im.Env))
	t.fact("ports", strings.Join(im.ExposedPorts, ", "))
	t.fact("volumes", strings.Join(im.Volumes, ", "))
	for _, key := range slices.Sorted(maps.Keys(im.Labels)) {
		t.fact("label", key+"="+im.Labels[key])
	}
	var total int64
	for i, l := range im.Layers {
		t.fact("layer "+strconv.Itoa(i+1), l.Digest+" "+size(l.Size))
		total += l.Size
	}
	t.fact("in all", size(total))
	for _, p := range im.Problems {
		t.fact("problem", p)
	}
	t.flush()
}

// join joins what is not empty.
func join(sep string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), sep)
}

// words writes a command line; words with blanks are quoted.
func words(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		if out[i] = s; s == "" || strings.ContainsAny(s, " \t\n\"") {
			out[i] = strconv.Quote(s)
		}
	}
	return strings.Join(out, " ")
}

// plain shows everything that is not printable as an escape, and so keeps
// foreign text from steering a terminal.
func plain(s string) string {
	q := strconv.Quote(s)
	if len(q) == len(s)+2 {
		return s
	}
	q = q[1 : len(q)-1]
	return strings.ReplaceAll(strings.ReplaceAll(q, `\"`, `"`), `\\`, `\`)
}

// size writes a number of bytes, rounded.
func size(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, unit := float64(n), -1
	for v >= 1024 && unit < len(units)-1 {
		v, unit = v/1024, unit+1
	}
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") + " " + units[unit:unit+1] + "iB"
}
