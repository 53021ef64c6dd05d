package vm

import (
	"errors"
	"strings"
)

// bootEntry is what a boot loader starts.
type bootEntry struct {
	kernel, initramfs, cmdline string
}

// parseMenu returns the entry that SYSLINUX starts by itself: the label that
// DEFAULT names, else the first (syslinux.wiki, "Config"). Keywords know no
// case; initrd= among the words of APPEND counts as INITRD.
func parseMenu(text string) (bootEntry, error) {
	entries := map[string]*bootEntry{}
	var (
		wanted, firstLabel string
		global             bootEntry // what stands before the first label
		target             = &global
	)
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(line, "\t", " ")), " ")
		value = strings.TrimSpace(value)
		switch strings.ToLower(key) {
		case "default":
			wanted = strings.ToLower(value)
		case "label":
			label := strings.ToLower(value)
			entry := global
			target = &entry
			entries[label] = target
			if firstLabel == "" {
				firstLabel = label
			}
		case "linux", "kernel":
			target.kernel = value
		case "initrd":
			target.initramfs = value
		case "append":
			target.cmdline = value
		}
	}
	entry := entries[wanted]
	if entry == nil {
		entry = entries[firstLabel]
	}
	if entry == nil || entry.kernel == "" {
		return bootEntry{}, errors.New("the menu starts no kernel")
	}
	entry.takeInitrd()
	if strings.Contains(entry.initramfs, ",") {
		return bootEntry{}, errors.New("the menu names more than one initramfs")
	}
	return *entry, nil
}

// takeInitrd moves initrd= out of the command line.
func (e *bootEntry) takeInitrd() {
	var words []string
	for _, w := range strings.Fields(e.cmdline) {
		if path, ok := strings.CutPrefix(w, "initrd="); ok {
			e.initramfs = path
			continue
		}
		words = append(words, w)
	}
	e.cmdline = strings.Join(words, " ")
}
