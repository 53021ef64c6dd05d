package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/kernel/init/config"
)

// From linux/input-event-codes.h.
const (
	evKey    = 1
	keyPower = 116
	keyMax   = 0x2ff
)

// eventSize is that of struct input_event on 64-bit machines, in bytes.
const eventSize = 24

// watchButtons listens to every input device that has a power button, and
// sends a request when it is pressed. Devices that come a little late, as with
// a driver that is a module, are found by a later look.
func watchButtons(requests chan<- request) {
	watched := make(map[string]bool)
	for _, wait := range []time.Duration{0, time.Second, 10 * time.Second} {
		time.Sleep(wait)
		paths, _ := filepath.Glob("/dev/input/event*") // the pattern is a good one
		for _, path := range paths {
			if watched[path] {
				continue
			}
			if f := openButton(path); f != nil {
				go watchButton(f, requests)
			}
			watched[path] = true
		}
	}
}

// openButton returns nil when the device has no power button.
func openButton(path string) *os.File {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	var keys [keyMax/8 + 1]byte
	// EVIOCGBIT(EV_KEY, sizeof keys) of linux/input.h
	get := uintptr(2<<30 | len(keys)<<16 | 'E'<<8 | 0x20 + evKey)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), get, uintptr(unsafe.Pointer(&keys)))
	if errno != 0 || keys[keyPower/8]&(1<<(keyPower%8)) == 0 {
		unix.Close(fd)
		return nil
	}
	return os.NewFile(uintptr(fd), path)
}

func watchButton(f *os.File, requests chan<- request) {
	defer f.Close()
	b := make([]byte, 16*eventSize)
	for {
		n, err := f.Read(b)
		if err != nil {
			return // the device is gone
		}
		if pressed(b[:n]) {
			requests <- request{config.LinePoweroff, "power button"}
		}
	}
}

// pressed reports whether the power key went down in one of the events.
func pressed(b []byte) bool {
	for ; len(b) >= eventSize; b = b[eventSize:] {
		kind := binary.NativeEndian.Uint16(b[16:])
		code := binary.NativeEndian.Uint16(b[18:])
		value := binary.NativeEndian.Uint32(b[20:])
		if kind == evKey && code == keyPower && value == 1 {
			return true
		}
	}
	return false
}
