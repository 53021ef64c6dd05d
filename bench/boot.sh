#!/bin/bash
# Compares how soon two machines with the same app answer, by each road: the
# appliance, and Debian 12 with systemd and a JRE, started by GRUB or, where
# QEMU loads the kernel, directly. Both get the same machine, memory and
# processors. Debian's cloud kernel has no drivers for some machines; there the
# appliance stands alone.
#
#   bench/boot.sh [ROUNDS] [OPTIONS OF bench/boot...]
#
# ROADS names the roads (default: all), PROFILES the profiles of the JVM that
# are measured besides balanced (default: fast-start, by bios and direct).
#
# Last comes the way to init alone: from the start of QEMU to the first program
# of the root, beside Debian's kernel with its initramfs.
#
# Aims: at least 5 times sooner than Debian, with at most 0.16 of the processor
# time; 0.35 of the time to init. Without KVM the figures are emulated, and say
# so.
set -eu
cd "$(dirname "$0")/.."
. bench/lib.sh
rounds=${1:-5}
[ $# = 0 ] || shift
roads=${ROADS:-bios uefi direct pvh uefi/nvme microvm ec2 vmware vmware-lsi virtualbox ide}

prepare
build "$dir/out" --update-lock
mv "$dir/out/hello-jvm.raw" "$dir/balanced.raw"
disks=
for road in $roads; do disks="$disks $road:$dir/balanced.raw"; done
for profile in ${PROFILES-fast-start}; do
	build "$dir/out" --update-lock --set "runtime.jvm.profile=$profile"
	mv "$dir/out/hello-jvm.raw" "$dir/$profile.raw"
	disks="$disks bios:$dir/$profile.raw direct:$dir/$profile.raw"
done
debian

go build -o "$dir/boot" ./bench/boot
compare() {
	cmdline=$1
	shift
	"$dir/boot" -rounds "$rounds" -disk "$debian/debian.raw" -kernel "$debian/vmlinuz" -initramfs "$debian/initrd.img" -cmdline "$cmdline" "$@"
}
compare "$(cat "$debian/cmdline")" -ready 'listening on port' "$@" $disks

# In the place of systemd a program that tells the kernel's clock.
compare "$(cat "$debian/cmdline") panic=-1 init=/bin/cat -- /proc/uptime" \
	-until '^(imgbuild: up [0-9.]+|[0-9.]+ [0-9.]+)$' "$@" "direct:$dir/balanced.raw"
