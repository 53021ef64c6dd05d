package kernel

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/imgbuild/imgbuild/kernel/kconfig"
)

func TestHints(t *testing.T) {
	found, err := kconfig.Read(fstest.MapFS{"Kconfig": {Data: []byte(`
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
`)}})
	if err != nil {
		t.Fatal(err)
	}
	s := symbols(found)
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

// checkSource checks that a source defines every symbol that its fragments ask
// for.
func checkSource(t *testing.T, series, tree string) {
	t.Helper()
	s, err := readSymbols(tree)
	if err != nil {
		t.Fatal(err)
	}
	fragments, err := Fragments(series)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fragments {
		for _, setting := range f.Settings {
			if len(s[setting.Symbol]) == 0 {
				t.Errorf("%s:%d asks for %s, which Linux %s does not define", f.Name, setting.Line, setting.Symbol, series)
			}
		}
	}
	if got := s["VIRTIO_BALLOON"]; len(got) != 1 || got[0].Type != "tristate" || len(got[0].Depends) == 0 || got[0].Help == "" {
		t.Errorf("VIRTIO_BALLOON of Linux %s reads as %+v", series, got)
	}
}
