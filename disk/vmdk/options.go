package vmdk

// Type is the form of a disk, as descriptors call it ("createType").
type Type string

// The types that are written. The first two are one file.
const (
	StreamOptimized  Type = "streamOptimized"      // compressed; for import
	MonolithicSparse Type = "monolithicSparse"     // grows in place
	MonolithicFlat   Type = "monolithicFlat"       // a descriptor and a raw file
	SplitSparse      Type = "twoGbMaxExtentSparse" // a descriptor and files below 2 GiB
	SplitFlat        Type = "twoGbMaxExtentFlat"
)

// Options are the choices of a writer.
type Options struct {
	// Type is StreamOptimized when empty.
	Type Type
	// Name is the file name in the descriptor: "disk.vmdk" when empty. Other
	// files are named after it.
	Name string
	// Seed, when given, decides the content ID; otherwise the content does.
	Seed []byte
}

// complete fills in what was left open.
func (o Options) complete() (Options, error) {
	if o.Type == "" {
		o.Type = StreamOptimized
	}
	if o.Name == "" {
		o.Name = "disk.vmdk"
	}
	return o, checkName(o.Name)
}
