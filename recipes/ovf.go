package recipes

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// OVF is what OVF packages (the outputs ova and ovf) tell people and ask them.
type OVF struct {
	// Product is the name for people; the recipe's name by default.
	Product string `yaml:"product,omitempty" json:"product,omitempty"`
	// ProductURL is the address of a page about the product.
	ProductURL string `yaml:"productURL,omitempty" json:"productURL,omitempty" jsonschema:"pattern=^https?://"`
	// VendorURL is the address of a page about the vendor.
	VendorURL string `yaml:"vendorURL,omitempty" json:"vendorURL,omitempty" jsonschema:"pattern=^https?://"`
	// AppURL is the address of the running app: "http://$${app.ip}:8080/",
	// where the guest's address takes the place of ${app.ip}.
	AppURL string `yaml:"appURL,omitempty" json:"appURL,omitempty" jsonschema:"pattern=^https?://"`
	// Annotation is a longer description; the recipe's description and ports
	// by default.
	Annotation string `yaml:"annotation,omitempty" json:"annotation,omitempty"`
	// Licenses are text files that whoever installs the appliance has to
	// agree to.
	Licenses []string `yaml:"licenses,omitempty" json:"licenses,omitempty" check:"file"`
	// Networks are those that the machine gets a card on, by names that an
	// importer maps to its own; one by default. The guest uses the first.
	Networks []OVFNetwork `yaml:"networks,omitempty" json:"networks,omitempty" jsonschema:"minItems=1"`
	// Properties are values that are asked for when the appliance is installed.
	Properties []Property `yaml:"properties,omitempty" json:"properties,omitempty"`
	// Configurations are sizes of the machine to choose from; the first is
	// the default.
	Configurations []Configuration `yaml:"configurations,omitempty" json:"configurations,omitempty"`
	// Translations have the texts in other languages than English.
	Translations []Translation `yaml:"translations,omitempty" json:"translations,omitempty"`
}

// OVFNetwork is a network by the name that an importer maps to one of its own.
type OVFNetwork struct {
	// Name of the network.
	Name string `yaml:"name" json:"name" jsonschema:"required"`
	// Description of the network, for people.
	Description string `yaml:"description,omitempty" json:"description,omitempty"`
}

// Property is a value that whoever installs the appliance may give.
type Property struct {
	// Key of the property.
	Key string `yaml:"key" json:"key" jsonschema:"required,pattern=^[A-Za-z_][A-Za-z0-9_-]{0\\,62}$"`
	// Type of the value; text by default.
	Type string `yaml:"type,omitempty" json:"type,omitempty" jsonschema:"enum=string,enum=boolean,enum=uint8,enum=uint16,enum=uint32,enum=uint64,enum=sint8,enum=sint16,enum=sint32,enum=sint64,enum=real32,enum=real64"`
	// Value when nobody gives another.
	Value string `yaml:"value,omitempty" json:"value,omitempty"`
	// Label is the question.
	Label string `yaml:"label,omitempty" json:"label,omitempty"`
	// Description says more about it.
	Description string `yaml:"description,omitempty" json:"description,omitempty"`
	// Category is a heading over properties that follow each other.
	Category string `yaml:"category,omitempty" json:"category,omitempty"`
	// Qualifiers bound the value, in OVF's words: MinLen(1) MaxLen(63),
	// ValueMap{"red","green"}, MinValue(1) MaxValue(9).
	Qualifiers string `yaml:"qualifiers,omitempty" json:"qualifiers,omitempty"`
	// Fixed keeps people from changing the value.
	Fixed bool `yaml:"fixed,omitempty" json:"fixed,omitempty"`
	// Password hides what is typed.
	Password bool `yaml:"password,omitempty" json:"password,omitempty"`
	// Env is the variable of the app's environment that gets the value.
	Env string `yaml:"env,omitempty" json:"env,omitempty" jsonschema:"pattern=^[A-Za-z_][A-Za-z0-9_]*$"`
	// SystemProperty is the Java system property that gets the value, for
	// runtime jvm: -Dname=value.
	SystemProperty string `yaml:"systemProperty,omitempty" json:"systemProperty,omitempty" jsonschema:"pattern=^[A-Za-z_][A-Za-z0-9_.-]*$"`
	// Network is what of the guest's network the value sets, unless it is
	// empty: "address" (10.0.0.5/24, or an address beside a netmask) makes it
	// a static one; "netmask", "gateway", "dns" (one address or more) and
	// "hostname".
	Network string `yaml:"network,omitempty" json:"network,omitempty" jsonschema:"enum=address,enum=netmask,enum=gateway,enum=dns,enum=hostname"`
}

// Configuration is a size of the machine.
type Configuration struct {
	// ID of the configuration.
	ID string `yaml:"id" json:"id" jsonschema:"required,pattern=^[A-Za-z0-9_-]{1\\,63}$"`
	// Label is its name for people.
	Label string `yaml:"label" json:"label" jsonschema:"required"`
	// Description says whom it is for; the label by default.
	Description string `yaml:"description,omitempty" json:"description,omitempty"`
	// CPUs of the machine; guest.cpus by default.
	CPUs int `yaml:"cpus,omitempty" json:"cpus,omitempty" jsonschema:"minimum=1,maximum=64"`
	// Memory of the machine; guest.memory by default.
	Memory Size `yaml:"memory,omitempty" json:"memory,omitempty"`
}

// Translation has texts in one language.
type Translation struct {
	// Language of the texts, such as de-DE.
	Language string `yaml:"language" json:"language" jsonschema:"required,pattern=^[A-Za-z]{2\\,8}(-[A-Za-z0-9]{1\\,8})*$"`
	// Licenses are the files of ovf.licenses in this language, all of them.
	Licenses []string `yaml:"licenses,omitempty" json:"licenses,omitempty" check:"file"`
	// Texts by what they translate: product, annotation,
	// properties.KEY.label, properties.KEY.description, categories.NAME,
	// configurations.ID.label, configurations.ID.description,
	// networks.NAME.description.
	Texts map[string]string `yaml:"texts,omitempty" json:"texts,omitempty"`
}

func (o *OVF) fill() {
	for i := range o.Properties {
		or(&o.Properties[i].Type, "string")
	}
	for i := range o.Configurations {
		or(&o.Configurations[i].Description, o.Configurations[i].Label)
	}
}

// ovf checks the names that refer to each other, and the values.
func (c *checker) ovf(r *Recipe) {
	o := r.OVF
	once := map[string]string{}
	claim := func(what, name, path string) {
		if other, ok := once[what+name]; ok && name != "" {
			c.report(path, "", "the %s %q is given twice, here and as %s", what, name, other)
		}
		once[what+name] = path
	}
	for i, n := range o.Networks {
		claim("network", n.Name, index("ovf.networks", i))
	}
	for i, p := range o.Properties {
		path := index("ovf.properties", i)
		claim("property", p.Key, path)
		claim("environment variable", p.Env, path+".env")
		claim("system property", p.SystemProperty, path+".systemProperty")
		claim("part of the network", p.Network, path+".network")
		c.property(p, path)
		c.propertyPlaces(r, p, path)
	}
	for i, k := range o.Configurations {
		claim("configuration", k.ID, index("ovf.configurations", i))
	}
	for i, t := range o.Translations {
		claim("language", strings.ToLower(t.Language), index("ovf.translations", i))
		c.translation(o, t, index("ovf.translations", i))
	}
}

// qualifiers are those of DSP0243, tables 7 and 8.
var qualifiers = regexp.MustCompile(`^(\s*(Min(Len|Value)|Max(Len|Value))\(-?[0-9]+(\.[0-9]+)?\)|\s*ValueMap\{\s*"[^"]*"(\s*,\s*"[^"]*")*\s*\})*\s*$`)

func (c *checker) property(p Property, path string) {
	if !qualifiers.MatchString(p.Qualifiers) {
		c.report(path+".qualifiers", `write MinLen(1) MaxLen(63), MinValue(1) MaxValue(9), or ValueMap{"a","b"}`,
			"`%s.qualifiers` cannot be %q", path, p.Qualifiers)
	}
	if err := fits(p.Type, p.Value); err != nil && p.Value != "" {
		c.report(path+".value", "", "`%s.value` is %q, which is no %s", path, p.Value, p.Type)
	}
}

// propertyPlaces checks that nothing else has the place of a value.
func (c *checker) propertyPlaces(r *Recipe, p Property, path string) {
	if _, taken := r.App.Env[p.Env]; taken && p.Env != "" {
		c.report(path+".env", "give the default as `value` of the property", "%s is set by `app.env` already", p.Env)
	}
	if p.SystemProperty == "" {
		return
	}
	jvm := r.Runtime.JVM
	if jvm == nil {
		c.report(path+".systemProperty", "use `env`", "`%s.systemProperty` is for runtime jvm", path)
		return
	}
	for _, option := range jvm.Options {
		if strings.HasPrefix(option, "-D"+p.SystemProperty+"=") {
			c.report(path+".systemProperty", "give the default as `value` of the property", "%s is set by `runtime.jvm.options` already", p.SystemProperty)
		}
	}
}

// fits tells whether a value is one of a property's type.
func fits(kind, value string) error {
	var err error
	word := strings.TrimRight(kind, "0123456789")
	bits, _ := strconv.Atoi(kind[len(word):]) // 0 when there are none
	switch word {
	case "boolean":
		if value != "true" && value != "false" {
			err = fmt.Errorf("%q is neither true nor false", value)
		}
	case "uint":
		_, err = strconv.ParseUint(value, 10, bits)
	case "sint":
		_, err = strconv.ParseInt(value, 10, bits)
	case "real":
		_, err = strconv.ParseFloat(value, bits)
	}
	return err
}

func (c *checker) translation(o OVF, t Translation, path string) {
	if n := len(t.Licenses); n > 0 && n != len(o.Licenses) {
		c.report(path+".licenses", "translate all of them, or none", "`%s.licenses` has %d files, and `ovf.licenses` has %d", path, n, len(o.Licenses))
	}
	known := o.texts()
	for name := range t.Texts {
		if !slices.Contains(known, name) {
			c.report(path+".texts."+name, "there are: "+strings.Join(known, ", "), "there is no text %q to translate", name)
		}
	}
}

// texts are the names of all that can be translated.
func (o OVF) texts() []string {
	names := []string{"product", "annotation"}
	for _, p := range o.Properties {
		names = append(names, "properties."+p.Key+".label", "properties."+p.Key+".description")
		if p.Category != "" {
			names = append(names, "categories."+p.Category)
		}
	}
	for _, k := range o.Configurations {
		names = append(names, "configurations."+k.ID+".label", "configurations."+k.ID+".description")
	}
	for _, n := range o.Networks {
		names = append(names, "networks."+n.Name+".description")
	}
	return names
}
