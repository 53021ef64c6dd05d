package output

// About is what an appliance tells the people who install it, beside its name:
// for formats that show such things. All of it is optional.
type About struct {
	// Product is the name for people; the appliance's own by default.
	Product string `json:"product,omitempty"`
	// Addresses of pages; AppURL is that of the running appliance, in which
	// "${app.ip}" stands for its address.
	ProductURL string `json:"productURL,omitempty"`
	VendorURL  string `json:"vendorURL,omitempty"`
	AppURL     string `json:"appURL,omitempty"`
	// Annotation is a longer description; the appliance's own by default.
	Annotation string `json:"annotation,omitempty"`
	// Licenses are texts that have to be agreed to.
	Licenses []string `json:"licenses,omitempty"`
	// Networks are those that the appliance wants a card on.
	Networks []NamedNetwork `json:"networks,omitempty"`
	// Properties are asked for when the appliance is installed.
	Properties []Property `json:"properties,omitempty"`
	// Configurations are sizes to choose from; the first is the default.
	Configurations []Configuration `json:"configurations,omitempty"`
	Translations   []Translation   `json:"translations,omitempty"`
}

// NamedNetwork is a network by the name that an importer maps to one of its
// own.
type NamedNetwork struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

// Property is a value that whoever installs the appliance may give.
type Property struct {
	// Key is unique, and has neither periods nor colons.
	Key string `json:"key"`
	// Type is one of OVF: string, boolean, uint8 to uint64, sint8 to sint64,
	// real32, real64.
	Type string `json:"type"`
	// Value is what it has when nobody gives another.
	Value       string `json:"value,omitempty"`
	Label       string `json:"label,omitempty"`
	Description string `json:"description,omitempty"`
	// Category is a heading over properties that follow each other.
	Category string `json:"category,omitempty"`
	// Qualifiers are the bounds of OVF: MinLen(1) MaxLen(63) ValueMap{"a","b"}.
	Qualifiers string `json:"qualifiers,omitempty"`
	// Fixed keeps people from changing the value.
	Fixed bool `json:"fixed,omitempty"`
	// Password hides what is typed.
	Password bool `json:"password,omitempty"`
}

// Configuration is a size of the machine. What is zero is as in [Appliance].
type Configuration struct {
	ID          string `json:"id"`
	Label       string `json:"label"`
	Description string `json:"description"`
	CPUs        int    `json:"cpus,omitempty"`
	Memory      int64  `json:"memory,omitempty"` // bytes
}

// Translation has texts in another language than English.
type Translation struct {
	Language string `json:"language"` // as RFC 5646 has it: "de-DE"
	// Licenses stand for those of [About], one for one.
	Licenses []string `json:"licenses,omitempty"`
	// Texts are by what they translate: "annotation",
	// "properties.KEY.label", "properties.KEY.description",
	// "categories.NAME", "configurations.ID.label",
	// "configurations.ID.description", "networks.NAME.description".
	Texts map[string]string `json:"texts,omitempty"`
}
