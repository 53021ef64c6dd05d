package kernel

import (
	"bufio"
	"strings"
	"testing"
)

func TestHints(t *testing.T) {
	s := symbols{}
	if err := s.read(bufio.NewScanner(strings.NewReader(`
menuconfig CPU_MITIGATIONS
	bool "Mitigations"
if CPU_MITIGATIONS
config MITIGATION_RETPOLINE
	bool "Avoid speculative indirect branches"
	select OBJTOOL if HAVE_OBJTOOL
	depends on X86 && CC_HAS_RETPOLINE
endif
config HYPERV_UTILS
	tristate "Utilities"
	depends on HYPERV && CONNECTOR && NLS
	depends on PTP_1588_CLOCK_OPTIONAL
config OBJTOOL
	bool
config VIRTIO_BLK
	tristate
`))); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ symbol, value, want string }{
		{"RETPOLINE", "y", "did you mean CONFIG_MITIGATION_RETPOLINE?"},
		{"VIRTIO_BLCK", "y", "did you mean CONFIG_VIRTIO_BLK?"},
		{"HYPERV_UTILS", "y", "depends on HYPERV && CONNECTOR && NLS, and on PTP_1588_CLOCK_OPTIONAL"},
		{"OBJTOOL", "n", "selected by something else"},
		{"CPU_MITIGATIONS", "y", "the menu it stands in is off"},
		{"VIRTIO_BLK", "m", "write CONFIG_VIRTIO_BLK=y"},
		{"WHOLLY_UNKNOWN", "y", "this kernel has no CONFIG_WHOLLY_UNKNOWN"},
	} {
		got := s.hint(Miss{Setting: Setting{Symbol: c.symbol, Value: c.value}, Got: "y"})
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: hint %q, want %q in it", c.symbol, got, c.want)
		}
	}
}
