package ovf

import (
	"fmt"
	"maps"
	"slices"
)

// Texts that have translations carry an identifier; the translations stand at
// the end of the descriptor, by language (DSP0243 section 10).

// message returns a text with its identifier, if any language translates it.
func (d *descriptor) message(id, text string) message {
	for _, bundle := range d.bundles() {
		for _, m := range bundle.Messages {
			if m.ID == id {
				return message{id, text}
			}
		}
	}
	return message{Text: text}
}

func licenseID(i int) string { return fmt.Sprintf("licenses.%d", i+1) }

// bundles are the translations, in the order of their identifiers.
func (d *descriptor) bundles() []stringsBundle {
	var list []stringsBundle
	for _, t := range d.About.Translations {
		b := stringsBundle{Lang: t.Language}
		for i, text := range t.Licenses {
			b.Messages = append(b.Messages, translatedText{licenseID(i), text})
		}
		for _, id := range slices.Sorted(maps.Keys(t.Texts)) {
			b.Messages = append(b.Messages, translatedText{id, t.Texts[id]})
		}
		list = append(list, b)
	}
	return list
}
