package ovf

import "encoding/xml"

// The types below are the elements that the writer makes. Their fields stand
// in the order that the schema asks for (DSP8023): sections of an envelope and
// of a virtual system by kind, children of an Item by the alphabet. OVF's own
// elements are in the default namespace, which some readers insist on; its
// attributes carry the prefix.

const (
	nsOVF  = "http://schemas.dmtf.org/ovf/envelope/1"
	nsRASD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
	nsVSSD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
	nsVMW  = "http://www.vmware.com/schema/ovf"

	// diskFormat is the very address that importers compare with.
	diskFormat = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
)

type envelope struct {
	XMLName    xml.Name        `xml:"Envelope"`
	Default    string          `xml:"xmlns,attr"`
	OVF        string          `xml:"xmlns:ovf,attr"`
	RASD       string          `xml:"xmlns:rasd,attr"`
	VSSD       string          `xml:"xmlns:vssd,attr"`
	VMW        string          `xml:"xmlns:vmw,attr"`
	Lang       string          `xml:"xml:lang,attr"`
	References []fileRef       `xml:"References>File"`
	Disks      diskSection     `xml:"DiskSection"`
	Networks   networkSection  `xml:"NetworkSection"`
	Options    *optionSection  `xml:"DeploymentOptionSection"`
	System     virtualSystem   `xml:"VirtualSystem"`
	Strings    []stringsBundle `xml:"Strings"`
}

// message is a text that may have translations (DSP0243 section 10).
type message struct {
	ID   string `xml:"ovf:msgid,attr,omitempty"`
	Text string `xml:",chardata"`
}

type fileRef struct {
	Href string `xml:"ovf:href,attr"`
	ID   string `xml:"ovf:id,attr"`
	Size int64  `xml:"ovf:size,attr"`
}

type diskSection struct {
	Info  string `xml:"Info"`
	Disks []diskElement
}

type diskElement struct {
	XMLName   xml.Name `xml:"Disk"`
	Capacity  int64    `xml:"ovf:capacity,attr"`
	Units     string   `xml:"ovf:capacityAllocationUnits,attr"`
	ID        string   `xml:"ovf:diskId,attr"`
	File      string   `xml:"ovf:fileRef,attr"`
	Format    string   `xml:"ovf:format,attr"`
	Populated int64    `xml:"ovf:populatedSize,attr"`
}

type networkSection struct {
	Info     string           `xml:"Info"`
	Networks []networkElement `xml:"Network"`
}

type networkElement struct {
	Name        string  `xml:"ovf:name,attr"`
	Description message `xml:"Description"`
}

type optionSection struct {
	Info    string          `xml:"Info"`
	Options []optionElement `xml:"Configuration"`
}

type optionElement struct {
	ID          string  `xml:"ovf:id,attr"`
	Default     bool    `xml:"ovf:default,attr,omitempty"`
	Label       message `xml:"Label"`
	Description message `xml:"Description"`
}

type virtualSystem struct {
	ID         string             `xml:"ovf:id,attr"`
	Info       string             `xml:"Info"`
	Name       string             `xml:"Name"`
	Annotation *annotationSection `xml:"AnnotationSection"`
	Product    productSection     `xml:"ProductSection"`
	Licenses   []eulaSection      `xml:"EulaSection"`
	OS         osSection          `xml:"OperatingSystemSection"`
	Hardware   []hardwareSection  `xml:"VirtualHardwareSection"`
}

type annotationSection struct {
	Info string  `xml:"Info"`
	Text message `xml:"Annotation"`
}

type eulaSection struct {
	Info    string  `xml:"Info"`
	License message `xml:"License"`
}

type osSection struct {
	ID          int    `xml:"ovf:id,attr"`
	VMware      string `xml:"vmw:osType,attr"`
	Info        string `xml:"Info"`
	Description string `xml:"Description"`
}

type hardwareSection struct {
	Transport string        `xml:"ovf:transport,attr,omitempty"`
	Info      string        `xml:"Info"`
	System    systemElement `xml:"System"`
	Items     []item        `xml:"Item"`
	Config    []config      `xml:"vmw:Config"`
}

type systemElement struct {
	ElementName string `xml:"vssd:ElementName"`
	InstanceID  int    `xml:"vssd:InstanceID"`
	Identifier  string `xml:"vssd:VirtualSystemIdentifier"`
	Type        string `xml:"vssd:VirtualSystemType,omitempty"`
}

type item struct {
	Configuration   string `xml:"ovf:configuration,attr,omitempty"`
	Required        string `xml:"ovf:required,attr,omitempty"`
	Address         string `xml:"rasd:Address,omitempty"`
	AddressOnParent string `xml:"rasd:AddressOnParent,omitempty"`
	AllocationUnits string `xml:"rasd:AllocationUnits,omitempty"`
	Automatic       string `xml:"rasd:AutomaticAllocation,omitempty"`
	Connection      string `xml:"rasd:Connection,omitempty"`
	Description     string `xml:"rasd:Description,omitempty"`
	ElementName     string `xml:"rasd:ElementName"`
	HostResource    string `xml:"rasd:HostResource,omitempty"`
	InstanceID      int    `xml:"rasd:InstanceID"`
	Limit           int64  `xml:"rasd:Limit,omitempty"`
	Parent          int    `xml:"rasd:Parent,omitempty"`
	Reservation     int64  `xml:"rasd:Reservation,omitempty"`
	Subtype         string `xml:"rasd:ResourceSubType,omitempty"`
	Type            int    `xml:"rasd:ResourceType"`
	Quantity        int64  `xml:"rasd:VirtualQuantity,omitempty"`
	Weight          int64  `xml:"rasd:Weight,omitempty"`
}

// config is a setting that only VMware knows; others must not stumble over it.
type config struct {
	Required string `xml:"ovf:required,attr"`
	Key      string `xml:"vmw:key,attr"`
	Value    string `xml:"vmw:value,attr"`
}

// stringsBundle are the texts of one language.
type stringsBundle struct {
	Lang     string           `xml:"xml:lang,attr"`
	Messages []translatedText `xml:"Msg"`
}

type translatedText struct {
	ID   string `xml:"ovf:msgid,attr"`
	Text string `xml:",chardata"`
}
