package ovf

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// modernUnit translates the words of OVF 0.9, and of writers that never left
// it. Without a unit, bytes are meant (DSP0243 section 9.1).
func modernUnit(unit string) string {
	switch unit = strings.ToLower(strings.TrimSpace(unit)); unit {
	case "", "bytes":
		return "byte"
	case "kilobytes", "kb":
		return "byte * 2^10"
	case "megabytes", "mb":
		return "byte * 2^20"
	case "gigabytes", "gb":
		return "byte * 2^30"
	case "terabytes", "tb":
		return "byte * 2^40"
	}
	return unit
}

// Bytes returns a quantity of some unit in bytes, as descriptors tell capacities
// and memory.
func Bytes(quantity, unit string) (int64, error) { return inBytes(quantity, unit) }

// inBytes returns a quantity of some unit in bytes. Units are the programmatic
// ones of DSP0004 annex C.1: "byte", "byte * 2^20", "byte * 10^6 * 4".
func inBytes(quantity, unit string) (int64, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(quantity), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no number", quantity)
	}
	first, rest, more := strings.Cut(modernUnit(unit), "*")
	if strings.TrimSpace(first) != "byte" {
		return 0, fmt.Errorf("%q is no unit of bytes", unit)
	}
	for more {
		var factor string
		factor, rest, more = strings.Cut(rest, "*")
		if n, err = scale(n, strings.TrimSpace(factor)); err != nil {
			return 0, fmt.Errorf("%q bytes of unit %q: %w", quantity, unit, err)
		}
	}
	if n > 1<<62 {
		return 0, fmt.Errorf("%q bytes of unit %q are too many", quantity, unit)
	}
	return int64(n), nil
}

// scale multiplies n by "1024" or "2^10".
func scale(n uint64, factor string) (uint64, error) {
	base, power, raised := strings.Cut(factor, "^")
	b, err := strconv.ParseUint(base, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is no factor", factor)
	}
	times := uint64(1)
	if raised {
		if times, err = strconv.ParseUint(power, 10, 6); err != nil {
			return 0, fmt.Errorf("%q is no factor", factor)
		}
	}
	for range times {
		high, low := bits.Mul64(n, b)
		if high != 0 {
			return 0, errors.New("the result is too large")
		}
		n = low
	}
	return n, nil
}
