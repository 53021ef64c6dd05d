package inspect

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/imgbuild/imgbuild/inspect/internal/show"
	"github.com/imgbuild/imgbuild/output/ovf"
)

// WriteText writes the report for people to read.
func (r *Report) WriteText(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: %s, %s, %s on disk\n", show.Plain(r.Path), r.Format, show.Size(r.Size), show.Size(r.Allocated))
	if len(r.Beside) > 0 {
		fmt.Fprintf(&b, "with %s\n", show.Plain(strings.Join(r.Beside, ", ")))
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

func (p *Package) write(b *bytes.Buffer) {
	kind := "package"
	if p.Version != "" {
		kind = "package OVF " + p.Version
	}
	fmt.Fprintf(b, "\n%s, descriptor %s\n", kind, show.Plain(p.Descriptor))
	t := show.NewTable(b)
	t.Fact("manifest", verdict(p.Manifest))
	t.Fact("", strings.Join(p.Manifest.Problems, "\n"))
	writeSignature(t, p.Manifest.Signature)
	t.Fact("networks", strings.Join(p.Networks, ", "))
	t.Fact("options", strings.Join(options(p.Options), ", "))
	t.Fact("languages", strings.Join(p.Languages, ", "))
	for i, note := range p.Notes {
		name := ""
		if i == 0 {
			name = "notes"
		}
		t.Fact(name, note)
	}
	t.Flush()
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
func writeSignature(t show.Table, s *ovf.Signature) {
	if s == nil {
		return
	}
	t.Fact("signed by", s.Signer)
	by := s.Issuer
	if s.SelfSigned {
		by = "nobody else: the certificate is self-signed"
	}
	t.Fact("vouched for by", by)
	t.Fact("valid", s.NotBefore.Format(time.DateOnly)+" to "+s.NotAfter.Format(time.DateOnly))
	t.Fact("fingerprint", "sha256:"+s.Fingerprint)
}

func writeMachine(b *bytes.Buffer, m ovf.Machine) {
	name := m.Name
	if name == "" {
		name = m.ID
	}
	fmt.Fprintf(b, "\nmachine %s\n", show.Plain(name))
	t := show.NewTable(b)
	t.Fact("product", join(" ", m.Product, m.Version))
	t.Fact("vendor", m.Vendor)
	t.Fact("about", m.Annotation)
	t.Fact("system", m.OS)
	t.Fact("hardware", join(", ", m.System, m.Firmware))
	t.Fact("processors", strconv.Itoa(m.CPUs))
	t.Fact("memory", show.Size(m.Memory))
	t.Fact("controllers", strings.Join(m.Controllers, ", "))
	for _, a := range m.Adapters {
		t.Fact("network card", join(" on ", a.Model, a.Network))
	}
	t.Fact("disks", strings.Join(m.Disks, ", "))
	if m.Licenses > 0 {
		t.Fact("licenses", fmt.Sprintf("%d to agree to", m.Licenses))
	}
	for _, p := range m.Properties {
		t.Fact("property", join(", ", p.Key, p.Type, p.Qualifiers, p.Label))
	}
	if len(m.Properties) > 0 {
		t.Fact("handed over by", strings.Join(m.Transports, ", "))
	}
	t.Flush()
}

func (d *Disk) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "\ndisk %s\n", show.Plain(join(", ", d.Name, d.Format, show.Size(d.Size), show.Size(d.Data)+" of data")))
	if d.Error != "" {
		fmt.Fprintf(b, "  %s\n", show.Plain(d.Error))
		return
	}
	t := show.NewTable(b)
	if d.Table != nil {
		t.Fact("table", strings.ToUpper(string(d.Table.Scheme))+" "+d.Table.ID)
		t.Fact("", strings.Join(d.Table.Notes, "\n"))
	}
	t.Flush()
	d.writeVolumes(b)
	d.writeClasses(b)
}

func (d *Disk) writeVolumes(b *bytes.Buffer) {
	if len(d.Volumes) == 0 {
		return
	}
	t := show.NewTable(b)
	t.Row("#", "offset", "size", "filesystem", "label", "name", "type", "guid")
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
		t.Row(strconv.Itoa(v.Index), show.Size(v.Offset), show.Size(v.Size), filesystem, v.Label, v.Name, kind, v.GUID)
	}
	t.Flush()
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
		fmt.Fprintf(b, "    %s\n", show.Plain(v.Error))
	}
	var classes []string
	for _, c := range v.Classes {
		classes = append(classes, c.Class.String()+" "+show.Size(c.Bytes))
	}
	fmt.Fprintf(b, "    %s\n", strings.Join(classes, ", "))
	t := show.NewTable(b)
	for _, f := range v.Files {
		t.Row("  "+f.Path, show.Size(f.Size))
	}
	if len(v.Files) == maxBootFiles {
		t.Row("  and more")
	}
	t.Flush()
}

func (d *Disk) writeClasses(b *bytes.Buffer) {
	if len(d.Classes) == 0 {
		return
	}
	b.WriteByte('\n')
	t := show.NewTable(b)
	t.Row("class", "bytes", "not zero")
	var residue int64
	for _, c := range d.Classes {
		t.Row(c.Class.String(), strconv.FormatInt(c.Bytes, 10), strconv.FormatInt(c.NonZero, 10))
		if c.Class.Dead() {
			residue += c.NonZero
		}
	}
	t.Flush()
	if residue == 0 {
		fmt.Fprintln(b, "  no residue: every dead byte is zero")
	} else {
		fmt.Fprintf(b, "  residue: %d dead bytes are not zero\n", residue)
	}
}

func (im *Image) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "\nimage %s\n", show.Plain(join(", ", append(slices.Clone(im.Names), im.Platform)...)))
	t := show.NewTable(b)
	t.Fact("digest", im.Digest)
	if im.Created != nil {
		t.Fact("created", im.Created.UTC().Format(time.RFC3339))
	}
	t.Fact("user", im.User)
	t.Fact("entry point", words(im.Entrypoint))
	t.Fact("arguments", words(im.Cmd))
	t.Fact("folder", im.WorkingDir)
	t.Fact("environment", words(im.Env))
	t.Fact("ports", strings.Join(im.ExposedPorts, ", "))
	t.Fact("volumes", strings.Join(im.Volumes, ", "))
	for _, key := range slices.Sorted(maps.Keys(im.Labels)) {
		t.Fact("label", key+"="+im.Labels[key])
	}
	var total int64
	for i, l := range im.Layers {
		t.Fact("layer "+strconv.Itoa(i+1), l.Digest+" "+show.Size(l.Size))
		total += l.Size
	}
	t.Fact("in all", show.Size(total))
	for _, p := range im.Problems {
		t.Fact("problem", p)
	}
	t.Flush()
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
