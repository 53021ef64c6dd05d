package vm

import (
	"strings"
	"testing"
)

func TestParseMenu(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, text string
		want       bootEntry
		wrong      string
	}{
		{"ours", "DEFAULT appliance\nPROMPT 0\nTIMEOUT 0\nLABEL appliance\n  LINUX /vmlinuz\n  INITRD /initramfs\n  APPEND root=/dev/vda2 ro quiet\n",
			bootEntry{"/vmlinuz", "/initramfs", "root=/dev/vda2 ro quiet"}, ""},
		{"the default is second", "default B\r\nappend all\r\nlabel a\r\nkernel\ta\r\nlabel b\r\n\tkernel b\r\n\tappend x initrd=/i y\r\n",
			bootEntry{"b", "/i", "x y"}, ""},
		{"no default", "append all\nlabel a\nlinux k\n", bootEntry{"k", "", "all"}, ""},
		{"no kernel", "label a\nappend x\n", bootEntry{}, "starts no kernel"},
		{"nothing", "", bootEntry{}, "starts no kernel"},
		{"two initramfs", "label a\nlinux k\ninitrd a,b\n", bootEntry{}, "more than one"},
	} {
		got, err := parseMenu(test.text)
		if got != test.want || (err == nil) != (test.wrong == "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
			t.Errorf("%s: parseMenu = %+v, %v; want %+v, %q", test.name, got, err, test.want, test.wrong)
		}
	}
}

func FuzzParseMenu(f *testing.F) {
	f.Add("DEFAULT a\nLABEL a\nLINUX /k\nAPPEND initrd=/i x\n")
	f.Fuzz(func(t *testing.T, text string) {
		entry, err := parseMenu(text)
		if err == nil && entry.kernel == "" {
			t.Error("an entry without a kernel")
		}
	})
}
