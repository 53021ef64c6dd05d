package ovf

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	// maxDescriptor bounds a descriptor, in bytes. Those with long licences
	// have a few hundred KiB.
	maxDescriptor = 4 << 20
	// maxFiles bounds the files of a package, which are held open.
	maxFiles = 256
)

// The types below take the elements of all versions of OVF. They match by
// local names: 0.9, 1.x and 2.x differ in their namespaces, and some writers
// are careless about them. Numbers are text here, so that one odd value does
// not spoil the rest.

type foreignEnvelope struct {
	XMLName     xml.Name
	Files       []foreignFile    `xml:"References>File"`
	Disks       []foreignDisk    `xml:"DiskSection>Disk"`
	Networks    []foreignNetwork `xml:"NetworkSection>Network"`
	Options     []foreignOption  `xml:"DeploymentOptionSection>Configuration"`
	Systems     []foreignSystem  `xml:"VirtualSystem"`
	Collections []foreignSystem  `xml:"VirtualSystemCollection"`
	Strings     []foreignStrings `xml:"Strings"`
	Sections    []foreignSection `xml:"Section"` // 0.9
	Content     []foreignSystem  `xml:"Content"` // 0.9
}

type foreignFile struct {
	Href        string `xml:"href,attr"`
	ID          string `xml:"id,attr"`
	Size        string `xml:"size,attr"`
	Compression string `xml:"compression,attr"`
	ChunkSize   string `xml:"chunkSize,attr"`
}

type foreignDisk struct {
	Capacity  string `xml:"capacity,attr"`
	Units     string `xml:"capacityAllocationUnits,attr"`
	ID        string `xml:"diskId,attr"`
	File      string `xml:"fileRef,attr"`
	Format    string `xml:"format,attr"`
	Populated string `xml:"populatedSize,attr"`
	Parent    string `xml:"parentRef,attr"`
}

type foreignNetwork struct {
	Name string `xml:"name,attr"`
}

type foreignOption struct {
	ID      string `xml:"id,attr"`
	Default string `xml:"default,attr"`
	Label   string `xml:"Label"`
}

type foreignStrings struct {
	Lang string `xml:"lang,attr"`
	File string `xml:"fileRef,attr"`
}

// foreignSystem is a VirtualSystem, or a collection of them.
type foreignSystem struct {
	ID          string            `xml:"id,attr"`
	Name        string            `xml:"Name"`
	Annotation  string            `xml:"AnnotationSection>Annotation"`
	Products    []foreignProduct  `xml:"ProductSection"`
	Licenses    []string          `xml:"EulaSection>License"`
	OS          []foreignOS       `xml:"OperatingSystemSection"`
	Hardware    []foreignHardware `xml:"VirtualHardwareSection"`
	VirtualBox  []foreignFirmware `xml:"Machine>Hardware>Firmware"`
	Sections    []foreignSection  `xml:"Section"` // 0.9
	Systems     []foreignSystem   `xml:"VirtualSystem"`
	Collections []foreignSystem   `xml:"VirtualSystemCollection"`
}

type foreignProduct struct {
	Class      string            `xml:"class,attr"`
	Instance   string            `xml:"instance,attr"`
	Product    string            `xml:"Product"`
	Vendor     string            `xml:"Vendor"`
	Version    string            `xml:"Version"`
	Properties []foreignProperty `xml:"Property"`
}

type foreignProperty struct {
	Key          string `xml:"key,attr"`
	Type         string `xml:"type,attr"`
	Qualifiers   string `xml:"qualifiers,attr"`
	Value        string `xml:"value,attr"`
	Configurable string `xml:"userConfigurable,attr"`
	Password     string `xml:"password,attr"`
	Label        string `xml:"Label"`
	Description  string `xml:"Description"`
}

type foreignOS struct {
	ID          string `xml:"id,attr"`
	VMware      string `xml:"osType,attr"`
	Description string `xml:"Description"`
}

type foreignFirmware struct {
	Type string `xml:"type,attr"`
}

type foreignHardware struct {
	Transport string `xml:"transport,attr"`
	System    struct {
		Type string `xml:"VirtualSystemType"`
	} `xml:"System"`
	Items   []foreignItem   `xml:"Item"`
	Storage []foreignItem   `xml:"StorageItem"`      // 2.x
	Ports   []foreignItem   `xml:"EthernetPortItem"` // 2.x
	Config  []foreignConfig `xml:"Config"`
}

type foreignConfig struct {
	Key   string `xml:"key,attr"`
	Value string `xml:"value,attr"`
}

type foreignItem struct {
	Configuration string   `xml:"configuration,attr"`
	Units         string   `xml:"AllocationUnits"`
	Connection    []string `xml:"Connection"`
	HostResource  []string `xml:"HostResource"`
	ID            string   `xml:"InstanceID"`
	OldID         string   `xml:"InstanceId"` // 0.9
	Subtype       string   `xml:"ResourceSubType"`
	Type          string   `xml:"ResourceType"`
	Quantity      string   `xml:"VirtualQuantity"`
}

// foreignSection is any section of OVF 0.9; its type is in an attribute.
type foreignSection struct {
	Type string `xml:"type,attr"`
	foreignProduct
	foreignOS
	foreignHardware
	Annotation string           `xml:"Annotation"`
	Disks      []foreignDisk    `xml:"Disk"`
	Networks   []foreignNetwork `xml:"Network"`
}

// NewDecoder returns a decoder of a descriptor's XML, in any encoding that is
// read.
func NewDecoder(text []byte) *xml.Decoder {
	d := xml.NewDecoder(bytes.NewReader(text))
	d.CharsetReader = latin
	return d
}

// parse reads a descriptor.
func parse(text []byte) (*foreignEnvelope, error) {
	var e foreignEnvelope
	if err := NewDecoder(text).Decode(&e); err != nil {
		return nil, fmt.Errorf("parsing the descriptor: %w", err)
	}
	if e.XMLName.Local != "Envelope" {
		return nil, fmt.Errorf("parsing the descriptor: its root is %s, not Envelope", e.XMLName.Local)
	}
	if len(e.Files) > maxFiles {
		return nil, fmt.Errorf("parsing the descriptor: it refers to %d files, more than %d", len(e.Files), maxFiles)
	}
	e.modernize()
	if len(e.Systems)+len(e.Collections) == 0 {
		return nil, errors.New("parsing the descriptor: it describes no virtual system")
	}
	return &e, nil
}

// modernize moves what OVF 0.9 has in sections to where 1.x has it.
func (e *foreignEnvelope) modernize() {
	for _, s := range e.Sections {
		e.Disks = append(e.Disks, s.Disks...)
		e.Networks = append(e.Networks, s.Networks...)
	}
	for _, c := range e.Content {
		for _, s := range c.Sections {
			switch kind := s.Type[strings.LastIndex(s.Type, ":")+1:]; kind {
			case "VirtualHardwareSection_Type":
				c.Hardware = append(c.Hardware, s.foreignHardware)
			case "OperatingSystemSection_Type":
				c.OS = append(c.OS, s.foreignOS)
			case "ProductSection_Type":
				c.Products = append(c.Products, s.foreignProduct)
			case "AnnotationSection_Type":
				c.Annotation = s.Annotation
			}
		}
		e.Systems = append(e.Systems, c)
	}
}

// latin reads the two other encodings that descriptors come in. Both are
// subsets of the first 256 code points.
func latin(charset string, in io.Reader) (io.Reader, error) {
	switch strings.ToLower(charset) {
	case "us-ascii", "ascii", "iso-8859-1", "latin1":
	default:
		return nil, fmt.Errorf("the encoding %q is not known", charset)
	}
	p, err := io.ReadAll(in)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for _, c := range p {
		b.WriteRune(rune(c))
	}
	return strings.NewReader(b.String()), nil
}
