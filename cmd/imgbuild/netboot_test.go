package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/vm"
)

// TestNetboot loads an appliance into memory by QEMU itself, and from a TFTP
// server by iPXE, for a BIOS and for UEFI. There is no disk.
func TestNetboot(t *testing.T) {
	out := simpleAppliance(t, "[netboot]")
	text, err := os.ReadFile(filepath.Join(out, "simple.pxelinux"))
	if err != nil {
		t.Fatal(err)
	}
	_, cmdline, _ := strings.Cut(string(text), "  APPEND ")
	boots(t, vm.Options{
		Kernel: filepath.Join(out, "simple-netboot.vmlinuz"), Initramfs: filepath.Join(out, "simple-netboot.initrd"),
		Cmdline: strings.TrimSpace(cmdline), Memory: 256 << 20,
	})
	for file, firmware := range map[string][]string{
		"simple.ipxe":        nil,
		"simple-netboot.efi": {"-drive", "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd"},
	} {
		t.Run(file, func(t *testing.T) {
			inMemory(t, ",tftp="+out+",bootfile="+file, append([]string{"-boot", "n"}, firmware...))
		})
	}
}

// TestISO boots a CD, and the same image as a disk, which is how a USB stick has
// it. The appliance is larger than what the catalog of a CD can tell.
func TestISO(t *testing.T) {
	noise := filepath.Join(t.TempDir(), "noise")
	large := make([]byte, 27<<20)
	rand.NewChaCha8([32]byte{}).Read(large)
	if err := os.WriteFile(noise, large, 0o644); err != nil {
		t.Fatal(err)
	}
	out := simpleAppliance(t, "[iso]", "--set", "files=[{source: '"+noise+"', path: /opt/noise}]")
	image := filepath.Join(out, "simple.iso")
	t.Run("judges", func(t *testing.T) { judgeISO(t, image) })
	uefi := []string{"-drive", "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd"}
	cd := []string{"-cdrom", image, "-boot", "d"}
	stick := []string{"-drive", "if=none,id=stick,format=raw,snapshot=on,file=" + image, "-device", "qemu-xhci", "-device", "usb-storage,drive=stick,bootindex=0"}
	for name, args := range map[string][]string{
		"BIOS": cd, "UEFI": slices.Concat(cd, uefi), "stick by BIOS": stick, "stick by UEFI": slices.Concat(stick, uefi),
	} {
		t.Run(name, func(t *testing.T) { inMemory(t, "", args) })
	}
}

// judgeISO lets others read the image: its name, its two ways to boot, its files,
// whose times are the epoch.
func judgeISO(t *testing.T, image string) {
	text := disktest.Run(t, disktest.Program(t, "xorriso", "xorriso"), "-indev", image, "-report_el_torito", "plain", "-report_system_area", "plain")
	for _, want := range []string{
		`(?m)^Volume id +: 'SIMPLE'$`, `BIOS  y   none  0x0000  0x00      4 `, `UEFI  y   none  0x0000  0x00      0 `, `(?m)^El Torito img path : +2 +/boot/efi.img$`,
		`isohybrid`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("%s does not match xorriso's report:\n%s", want, text)
		}
	}
	list := disktest.Run(t, disktest.Program(t, "isoinfo", "genisoimage"), "-l", "-R", "-i", image)
	for _, name := range []string{"vmlinuz", "initramfs", "efi.img", "isolinux.cfg", "isolinux.bin", "ldlinux.c32"} {
		if !regexp.MustCompile(`(?m) Jan +1 1980 .* ` + regexp.QuoteMeta(name) + ` *$`).MatchString(list) {
			t.Errorf("%s is not there with its time:\n%s", name, list)
		}
	}
}

// inMemory boots an appliance that has no disk in QEMU and gets the app's
// answer. Its network card has the ROM of iPXE.
func inMemory(t *testing.T, network string, args []string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	args = append([]string{
		"-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot", "-cpu", "max", "-m", "512",
		"-netdev", fmt.Sprintf("user,id=net,hostfwd=tcp:%s-:8080%s", addr, network),
		"-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci",
	}, args...)
	cmd := exec.CommandContext(t.Context(), disktest.Program(t, "qemu-system-x86_64", "qemu-system-x86"), args...)
	var console strings.Builder
	cmd.Stdout, cmd.Stderr = &console, &console
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cmd.Wait()
	}()
	page, err := poll(addr, ended)
	cmd.Process.Kill()
	<-ended
	if err != nil || !strings.HasPrefix(page, "Hello from simple") {
		t.Errorf("the answer is %q, %v; the console:\n%s", page, err, console.String())
	}
}

// netbootPatience is how long the emulated firmware, the transfer and the boot
// may take.
const netbootPatience = 8 * time.Minute

// poll asks until there is an answer.
func poll(addr string, ended <-chan struct{}) (string, error) {
	client := http.Client{Timeout: 10 * time.Second}
	for deadline := time.Now().Add(netbootPatience); ; {
		resp, err := client.Get("http://" + addr + "/")
		if err == nil {
			page, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err == nil {
				return string(page), nil
			}
		}
		if time.Now().After(deadline) {
			return "", err
		}
		select {
		case <-ended:
			return "", errors.New("the machine ended")
		case <-time.After(300 * time.Millisecond):
		}
	}
}
