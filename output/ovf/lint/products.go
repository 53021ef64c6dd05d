package lint

import (
	"strconv"
	"strings"
)

// products examines properties: their keys, their values, and whether the
// guest learns of them.
func (l *linter) products() {
	for _, s := range l.root.below("VirtualSystem") {
		asked := false
		seen := map[[3]string]bool{}
		for _, product := range s.all("ProductSection") {
			for _, p := range product.all("Property") {
				asked = true
				l.property(p)
				name := [3]string{product.attr("class"), p.attr("key"), product.attr("instance")}
				if seen[name] {
					l.add("property-twice", p, "there is another property %s", p.attr("key"))
				}
				seen[name] = true
			}
		}
		if asked {
			l.transport(s)
		}
	}
}

func (l *linter) property(p *element) {
	key, kind, value := p.attr("key"), p.attr("type"), p.attr("value")
	if key == "" || strings.ContainsAny(key, ".:") {
		l.add("property-key", p, "the key of a property is %q", key)
	}
	if !fits(kind, value) {
		l.add("property-type", p, "property %s has the type %q and the value %q", key, kind, value)
	}
	chosen := len(p.all("Value")) > 0 // a value for some deployment options
	if value == "" && !chosen && !isTrue(p.attr("userConfigurable")) {
		l.add("property-fixed", p, "property %s has no value, and is not configurable", key)
	}
	if value != "" && (isTrue(p.attr("password")) || strings.HasPrefix(kind, "password")) {
		l.add("property-password", p, "property %s is a password and has a value", key) // which is not repeated
	}
}

// isTrue reads a boolean of XML Schema.
func isTrue(text string) bool { return text == "true" || text == "1" }

// fits reports whether a value is one of a type of DSP0243, table 6. The empty
// value is none.
func fits(kind, value string) bool {
	var err error
	switch kind {
	case "string":
	case "boolean":
		return value == "" || strings.EqualFold(value, "true") || strings.EqualFold(value, "false")
	case "uint8", "uint16", "uint32", "uint64":
		bits, _ := strconv.Atoi(kind[len("uint"):])
		_, err = strconv.ParseUint(value, 10, bits)
	case "sint8", "sint16", "sint32", "sint64":
		bits, _ := strconv.Atoi(kind[len("sint"):])
		_, err = strconv.ParseInt(value, 10, bits)
	case "real32", "real64":
		_, err = strconv.ParseFloat(value, 64)
	case "int": // VMware's
		_, err = strconv.ParseInt(value, 10, 64)
	default:
		return strings.HasPrefix(kind, "ip") || strings.HasPrefix(kind, "password") || strings.HasPrefix(kind, "string(") // VMware's
	}
	return value == "" || err == nil
}

// transport examines how properties reach the guest.
func (l *linter) transport(s *element) {
	for _, h := range s.all("VirtualHardwareSection") {
		transport := h.attr("transport")
		if strings.TrimSpace(transport) == "" {
			l.add("property-transport", h, "there are properties and no transport")
		}
		if strings.Contains(transport, "iso") && !hasCD(h) {
			l.add("iso-without-cd", h, "the transport is iso, and there is no CD drive")
		}
	}
}

func hasCD(h *element) bool {
	for _, it := range h.all("Item") {
		if kind := it.value("ResourceType"); kind == "15" || kind == "16" {
			return true
		}
	}
	return false
}
