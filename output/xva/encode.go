package xva

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strconv"
	"time"
)

// record is a struct of XML-RPC, in order.
type record []field

type field struct {
	name  string
	value any
}

// with returns the record with further fields.
func (r record) with(more ...field) record { return append(r, more...) }

// list is an array of XML-RPC.
type list []any

// real is a floating-point number.
type real float64

// encode writes a value of XML-RPC as xapi does: numbers are strings.
func encode(b *bytes.Buffer, v any) {
	b.WriteString("<value>")
	switch v := v.(type) {
	case string:
		// A buffer does not fail.
		_ = xml.EscapeText(b, []byte(v))
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case int:
		b.WriteString(strconv.Itoa(v))
	case bool:
		bit := 0
		if v {
			bit = 1
		}
		fmt.Fprintf(b, "<boolean>%d</boolean>", bit)
	case real:
		fmt.Fprintf(b, "<double>%g</double>", float64(v))
	case time.Time:
		fmt.Fprintf(b, "<dateTime.iso8601>%s</dateTime.iso8601>", v.UTC().Format("20060102T15:04:05Z"))
	case list:
		b.WriteString("<array><data>")
		for _, item := range v {
			encode(b, item)
		}
		b.WriteString("</data></array>")
	case record:
		b.WriteString("<struct>")
		for _, f := range v {
			fmt.Fprintf(b, "<member><name>%s</name>", f.name)
			encode(b, f.value)
			b.WriteString("</member>")
		}
		b.WriteString("</struct>")
	}
	b.WriteString("</value>")
}
