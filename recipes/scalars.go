package recipes

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written as 64MiB, 1GiB, 512KiB, 10MB or auto (0).
type Size int64

// sizeUnits are the units of a size, longest first, so that each is found
// before its own ending. A bare letter means a power of 1024, as it does to
// truncate(1) and to qemu.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3},
	{"Ti", 1 << 40}, {"Gi", 1 << 30}, {"Mi", 1 << 20}, {"Ki", 1 << 10},
	{"T", 1 << 40}, {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"k", 1 << 10},
	{"B", 1},
}

// sizePattern is the notation of a size, for the schema.
const sizePattern = `^(auto|[0-9]+ ?(TiB|GiB|MiB|KiB|TB|GB|MB|[kK]B|Ti|Gi|Mi|Ki|[TGMKk]|B)?)$`

// ParseSize reads a size such as 64MiB, 10MB, 512K, 1Gi, auto or 4096. Units
// with an i, and bare letters, are powers of 1024; kB, MB, GB and TB are
// powers of 1000. "auto" is 0.
func ParseSize(text string) (Size, error) {
	if text == "auto" {
		return 0, nil
	}
	digits, unit := text, int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			digits, unit = strings.TrimSuffix(rest, " "), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if errors.Is(err, strconv.ErrRange) || err == nil && n > math.MaxInt64/unit {
		return 0, fmt.Errorf("the size %q is too large", text)
	}
	if err != nil || n < 0 || digits[0] == '+' {
		return 0, fmt.Errorf("%q is not a size; write 64MiB, 1GiB, 10MB, a number of bytes, or auto", text)
	}
	return Size(n * unit), nil
}

// String writes a size with a unit that divides it, such as 64MiB or 10MB; 0
// is auto.
func (s Size) String() string {
	if s == 0 {
		return "auto"
	}
	for _, name := range []string{"TiB", "GiB", "MiB", "GB", "MB", "KiB"} {
		for _, u := range sizeUnits {
			if u.name == name && int64(s)%u.bytes == 0 {
				return strconv.FormatInt(int64(s)/u.bytes, 10) + name
			}
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

func (s *Size) parseText(text string) (err error) {
	*s, err = ParseSize(text)
	return err
}

// Duration is a span of time, written as 60s, 2m or 1m30s.
type Duration time.Duration

// durationPattern is the notation of a duration, for the schema.
const durationPattern = `^([0-9]+(\.[0-9]+)?(h|m|s|ms))+$`

// String writes a duration without parts that are zero: 1m, 1m30s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

func (d *Duration) parseText(text string) error {
	v, err := time.ParseDuration(text)
	if err != nil || v <= 0 {
		return fmt.Errorf("%q is not a duration above zero; write 60s, 2m or 1m30s", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText gives JSON the notation of the recipe.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the notation of the recipe.
func (d *Duration) UnmarshalText(text []byte) error { return d.parseText(string(text)) }

// Modules is "auto" or a list of module names.
type Modules struct {
	Auto bool
	List []string
}

const modulesAuto = "auto"

func (m *Modules) decodeNode(d *decoder, n *node, path string) {
	if n.kind == scalarNode {
		m.Auto = n.text == modulesAuto
		if !m.Auto {
			d.problems.add(n.at, path, "write auto, or a list: ["+n.text+"]", "`%s` is \"auto\" or a list of modules, found %s", path, n.what())
		}
		return
	}
	if !d.want(n, listNode, "\"auto\" or a list of modules", path) {
		return
	}
	m.List = make([]string, len(n.items))
	for i, item := range n.items {
		d.at[index(path, i)] = item
		if d.want(item, scalarNode, "the name of a module", index(path, i)) {
			m.List[i] = item.text
		}
	}
}

// MarshalJSON writes "auto" or the list.
func (m Modules) MarshalJSON() ([]byte, error) {
	if m.List != nil {
		return json.Marshal(m.List)
	}
	return json.Marshal(modulesAuto)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (m *Modules) UnmarshalJSON(data []byte) error {
	*m = Modules{}
	if string(data) == `"`+modulesAuto+`"` {
		m.Auto = true
		return nil
	}
	return json.Unmarshal(data, &m.List)
}

// IsZero reports that nothing is chosen.
func (m Modules) IsZero() bool { return !m.Auto && m.List == nil }
