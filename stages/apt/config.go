package apt

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/imgbuild/imgbuild/fault"
)

// settings are those of apt that do not depend on the client. They are read
// after the machine's own (apt.conf(5), -c), whose proxies stay, whose hooks
// must not run, and whose further indexes are of no use here.
const settings = `
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Install-Pkgs;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear APT::Architectures;
#clear APT::Default-Release;
#clear Acquire::Languages;
#clear Acquire::IndexTargets;
Acquire::IndexTargets::deb::Packages {
  MetaKey "$(COMPONENT)/binary-$(ARCHITECTURE)/Packages";
  flatMetaKey "Packages";
  ShortDescription "Packages";
  Description "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Packages";
  flatDescription "$(RELEASE) Packages";
  Optional "0";
};
Acquire::Languages { "none"; };
Acquire::GzipIndexes "false";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Retries "2";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
APT::Get::AllowUnauthenticated "false";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Cmd::Pattern-Only "true";
APT::Sandbox::User "root";
Debug::NoLocking "true";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
Dir::State::lists "lists/";
Dir::Cache::archives "archives/";
`

// configure writes the configuration and the empty package state.
func (s *state) configure() error {
	var b strings.Builder
	b.WriteString(settings)
	set := func(key, value string) { fmt.Fprintf(&b, "%s \"%s\";\n", key, value) }
	set("APT::Architecture", s.o.Arch)
	set("APT::Architectures::", s.o.Arch)
	set("Dir::State", filepath.Join(s.dir, "state"))
	set("Dir::State::status", filepath.Join(s.dir, "status"))
	set("Dir::State::extended_states", filepath.Join(s.dir, "state", "extended_states"))
	set("Dir::Cache", filepath.Join(s.dir, "cache"))
	set("Dir::Log", filepath.Join(s.dir, "log"))
	if s.o.SourcesList != "" {
		list, err := filepath.Abs(s.o.SourcesList)
		if err != nil {
			return err
		}
		set("Dir::Etc::sourcelist", list)
		// Pins are made for the machine's own sources.
		for _, key := range []string{"sourceparts", "preferences", "preferencesparts"} {
			set("Dir::Etc::"+key, "/dev/null")
		}
	}
	if s.o.Keyring != "" {
		keyring, err := filepath.Abs(s.o.Keyring)
		if err != nil {
			return err
		}
		set("Dir::Etc::trusted", keyring)
		set("Dir::Etc::trustedparts", "/dev/null")
	}
	if strings.Count(b.String(), `"`)%2 != 0 || strings.Contains(s.dir+s.o.SourcesList+s.o.Keyring, `"`) {
		return fault.New(fault.Usage, fmt.Errorf("apt's configuration cannot hold a path with a quotation mark"))
	}
	if err := writeIfChanged(filepath.Join(s.dir, "status"), ""); err != nil {
		return err
	}
	return writeIfChanged(s.conf, b.String())
}

// writeIfChanged leaves equal files alone: apt's cache is older than none of
// its inputs then, and readers that share the lock do not disturb each other.
func writeIfChanged(path, text string) error {
	old, err := os.ReadFile(path)
	if err == nil && string(old) == text {
		return nil
	}
	if err := renameio.WriteFile(path, []byte(text), 0o644); err != nil {
		return fault.New(fault.Environment, fmt.Errorf("configuring apt: %w", err))
	}
	return nil
}
