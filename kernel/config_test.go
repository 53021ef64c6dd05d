package kernel

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/fault"
)

func parse(t *testing.T, name, text string) Fragment {
	t.Helper()
	f, err := ParseFragment(name, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestParseFragment(t *testing.T) {
	got := parse(t, "my.config", `# A comment.

CONFIG_64BIT=y
CONFIG_NR_CPUS=64
CONFIG_BASE=0x1000000
CONFIG_LOCALVERSION="-a \"b\""
# CONFIG_MODULES is not set
# imgbuild: override
CONFIG_HZ_100=n
CONFIG_HZ_250=y
`)
	want := Fragment{Name: "my.config", Settings: []Setting{
		{Symbol: "64BIT", Value: "y", File: "my.config", Line: 3},
		{Symbol: "NR_CPUS", Value: "64", File: "my.config", Line: 4},
		{Symbol: "BASE", Value: "0x1000000", File: "my.config", Line: 5},
		{Symbol: "LOCALVERSION", Value: `"-a \"b\""`, File: "my.config", Line: 6},
		{Symbol: "MODULES", Value: "n", File: "my.config", Line: 7},
		{Symbol: "HZ_100", Value: "n", File: "my.config", Line: 9, Override: true},
		{Symbol: "HZ_250", Value: "y", File: "my.config", Line: 10},
	}, Comments: []Comment{{Line: 1, Text: "A comment."}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestWhy(t *testing.T) {
	f := parse(t, "f", "CONFIG_A=y\n# About B,\n#   and C.\nCONFIG_B=y\n\nCONFIG_C=y\n# About D.\n\nCONFIG_D=y\n")
	for line, want := range map[int]string{1: "", 4: "About B, and C.", 6: "About B, and C.", 9: "About D."} {
		if got := f.Why(line); got != want {
			t.Errorf("line %d: %q, want %q", line, got, want)
		}
	}
}

func TestParseFragmentRefuses(t *testing.T) {
	for _, line := range []string{"64BIT=y", "CONFIG_A=Y", "CONFIG_A=", `CONFIG_A="open`, "CONFIG_A = y", "source foo"} {
		_, err := ParseFragment("bad.config", strings.NewReader("\n"+line+"\n"))
		if fault.KindOf(err) != fault.Recipe || !strings.Contains(err.Error(), "bad.config:2:") {
			t.Errorf("%q: got %v, want a recipe fault at line 2", line, err)
		}
	}
}

func TestMerge(t *testing.T) {
	base := parse(t, "base", "CONFIG_A=y\nCONFIG_B=y\n")
	same := parse(t, "same", "CONFIG_B=y\nCONFIG_C=3\n")
	merged, err := Merge([]Fragment{base, same})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(AllConfig(merged)), "CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=3\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}

	_, err = Merge([]Fragment{base, parse(t, "user", "\n# CONFIG_B is not set\n")})
	if fault.KindOf(err) != fault.Recipe {
		t.Fatalf("a conflict gave %v", err)
	}
	for _, part := range []string{"user:2", "base:2", "CONFIG_B"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not name %s", err, part)
		}
	}
	if h := fault.HintsOf(err); len(h) != 1 || !strings.Contains(h[0], overrideMark) {
		t.Errorf("hints %q do not tell how to override", h)
	}

	merged, err = Merge([]Fragment{base, parse(t, "user", overrideMark+"\n# CONFIG_B is not set\n")})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(AllConfig(merged)), "CONFIG_A=y\n# CONFIG_B is not set\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCheck(t *testing.T) {
	asked := parse(t, "f", "CONFIG_A=y\nCONFIG_GONE=y\n# CONFIG_SELECTED is not set\nCONFIG_N=64\nCONFIG_S=\"\"\n# CONFIG_OFF is not set\n")
	config, err := ParseConfig(strings.NewReader("CONFIG_A=y\nCONFIG_SELECTED=y\nCONFIG_N=8\n# CONFIG_OFF is not set\n"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range Check(asked.Settings, config) {
		got = append(got, m.String())
	}
	want := []string{"f:2: CONFIG_GONE=y became n", "f:3: CONFIG_SELECTED=n became y", "f:4: CONFIG_N=64 became 8"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Every series must have all the fragments for all series and its own, and
// they must merge.
func TestFragments(t *testing.T) {
	if d := cmp.Diff([]string{"6.1", "6.12"}, Series()); d != "" {
		t.Fatal(d)
	}
	files, err := fragmentFiles.ReadDir("fragments")
	if err != nil {
		t.Fatal(err)
	}
	for series, own := range map[string]string{"6.1": "6.1", "6.6": "6.1", "6.12": "6.12", "6.18": "6.12", "7.0": "6.12"} {
		fragments, err := Fragments(series)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := len(fragments), len(files)-len(Series())+1; got != want {
			t.Errorf("%s: %d fragments, want %d", series, got, want)
		}
		if got, want := fragments[len(fragments)-1].Name, "linux-"+own+".config"; got != want {
			t.Errorf("%s: last fragment %s, want %s", series, got, want)
		}
		settings, err := Merge(fragments)
		if err != nil {
			t.Fatal(err)
		}
		config, err := ParseConfig(bytes.NewReader(AllConfig(settings)))
		if err != nil {
			t.Fatal(err)
		}
		if m := Check(settings, config); len(m) != 0 {
			t.Errorf("%s: the merged fragments miss %v", series, m)
		}
		if config["CPU_MITIGATIONS"] != "y" || config["MODULES"] != "" {
			t.Errorf("%s: not a hardened kernel without modules", series)
		}
	}
	for _, series := range []string{"5.10", "six", "6", "6.1.2", "-1.2"} {
		if _, err := Fragments(series); fault.KindOf(err) != fault.Input {
			t.Errorf("Fragments(%q) gave %v", series, err)
		}
	}
}

func FuzzParseFragment(f *testing.F) {
	f.Add("CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=\"x\"\n")
	f.Add("# imgbuild: override\nCONFIG_A=0x1f\n")
	f.Fuzz(func(t *testing.T, text string) {
		fragment, err := ParseFragment("f", strings.NewReader(text))
		if err != nil {
			return
		}
		again, err := ParseFragment("f", bytes.NewReader(AllConfig(fragment.Settings)))
		if err != nil {
			t.Fatalf("written settings do not parse: %v", err)
		}
		if len(again.Settings) != len(fragment.Settings) {
			t.Fatalf("%d settings became %d", len(fragment.Settings), len(again.Settings))
		}
	})
}
