package main

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/kernel/init/config"
)

// apply puts values in the places that the guest's properties name, and returns
// what is wrong with them. No error has a value in it: it may be a password that
// stands in the wrong place.
func apply(g *config.Guest, values map[string]string) []error {
	var problems []error
	said := make(map[string]config.Property) // about the network, by its word
	for _, p := range g.Properties {
		value, given := values[p.Key]
		if strings.ContainsRune(value, 0) {
			problems = append(problems, fmt.Errorf("property %s: a value cannot have a zero byte", p.Key))
			continue
		}
		if given && p.Env != "" {
			g.App.Env = append(g.App.Env, p.Env+"="+value)
		}
		if given && p.SystemProperty != "" {
			g.App.Command = define(g.App.Command, p, value)
		}
		if given {
			p.Value = value
		}
		if p.Value = strings.TrimSpace(p.Value); p.Network != "" && p.Value != "" {
			said[p.Network] = p
		}
	}
	return append(problems, configure(g, said)...)
}

// define sets a system property on the command of a JVM, in the place of its
// default if it has one.
func define(command []string, p config.Property, value string) []string {
	option := "-D" + p.SystemProperty + "="
	if p.Value != "" {
		i := slices.IndexFunc(command, func(word string) bool { return strings.HasPrefix(word, option) })
		if i > 0 {
			command = slices.Clone(command)
			command[i] = option + value
			return command
		}
	}
	return slices.Concat(command[:1], []string{option + value}, command[1:])
}

// configure changes the network to what was said about it. An address that is
// none leaves the recipe's way to one.
func configure(g *config.Guest, said map[string]config.Property) []error {
	var problems []error
	wrong := func(p config.Property, err error) {
		problems = append(problems, fmt.Errorf("property %s: %w", p.Key, err))
	}
	if p, ok := said[config.NetworkHostname]; ok {
		if isHostname(p.Value) {
			g.Hostname = p.Value
		} else {
			wrong(p, errors.New("not a host name"))
		}
	}
	if p, ok := said[config.NetworkDNS]; ok {
		list := strings.FieldsFunc(p.Value, func(r rune) bool { return strings.ContainsRune(", ;\t", r) })
		if slices.ContainsFunc(list, func(s string) bool { return !isAddress(s) }) {
			wrong(p, errors.New("not a list of IP addresses"))
		} else {
			g.Network.DNS = list
		}
	}
	p, ok := said[config.NetworkAddress]
	if !ok {
		return problems
	}
	address, err := prefix(p.Value, said[config.NetworkNetmask].Value)
	if err != nil {
		wrong(p, err)
		return problems
	}
	g.Network.Mode, g.Network.Address = "static", address.String()
	if p, ok := said[config.NetworkGateway]; ok {
		if isAddress(p.Value) {
			g.Network.Gateway = p.Value
		} else {
			wrong(p, errors.New("not an IP address"))
		}
	}
	return problems
}

// prefix reads an address with the length of its prefix, or beside a netmask:
// 255.255.255.0, or the length alone.
func prefix(address, netmask string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(address); err == nil {
		return p, nil
	}
	a, err := netip.ParseAddr(address)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, errors.New("not an IP address")
	}
	if netmask == "" {
		return netip.Prefix{}, errors.New("an IP address without a netmask")
	}
	if mask, err := netip.ParseAddr(netmask); err == nil && mask.Is4() {
		b := mask.As4()
		ones := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		n := bits.LeadingZeros32(^ones)
		if ones<<n != 0 {
			return netip.Prefix{}, errors.New("the netmask beside it is none")
		}
		netmask = fmt.Sprint(n)
	}
	p, err := netip.ParsePrefix(address + "/" + strings.TrimPrefix(netmask, "/"))
	if err != nil {
		return netip.Prefix{}, errors.New("the netmask beside it is none")
	}
	return p, nil
}

func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// isHostname reports whether the kernel and resolvers take a name (sethostname(2),
// RFC 1123 section 2.1). It ends up in the hosts file.
func isHostname(s string) bool {
	const longest = 64 // HOST_NAME_MAX
	outside := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.')
	}
	return s != "" && len(s) <= longest && !strings.ContainsFunc(s, outside) &&
		strings.Trim(s, "-.") == s
}
