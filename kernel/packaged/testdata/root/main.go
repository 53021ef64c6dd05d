// Command root stands for the init of a disk's root: it tells that it runs and
// switches the guest off.
package main

import (
	"os"
	"syscall"
)

func main() {
	os.Stdout.WriteString("root is up\n")
	syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
}
