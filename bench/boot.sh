#!/bin/bash
# Compares how soon two machines with the same app answer, by each road: the
# appliance, and Debian 12 with systemd and a JRE, started by GRUB or, where
# QEMU loads the kernel, directly. Both get the same machine, memory and
# processors.
#
#   bench/boot.sh [ROUNDS] [OPTIONS OF bench/boot...]
#
# Aims: at least 4 times sooner than Debian, with at most a fifth of the
# processor time. Without KVM the figures are emulated, and say so.
set -eu
cd "$(dirname "$0")/.."
. bench/lib.sh
rounds=${1:-5}
[ $# = 0 ] || shift

prepare
build "$dir/out" --update-lock
mv "$dir/out/hello-jvm.raw" "$dir/balanced.raw"
build "$dir/out" --update-lock --set runtime.jvm.profile=fast-start
mv "$dir/out/hello-jvm.raw" "$dir/fast-start.raw"
debian

go build -o "$dir/boot" ./bench/boot
"$dir/boot" -rounds "$rounds" -ready 'listening on port' "$@" \
	-disk "$debian/debian.raw" -kernel "$debian/vmlinuz" -initramfs "$debian/initrd.img" \
	-cmdline "$(cat "$debian/cmdline")" \
	"direct:$dir/balanced.raw" "pvh:$dir/balanced.raw" "bios:$dir/balanced.raw" "uefi:$dir/balanced.raw" \
	"direct:$dir/fast-start.raw" "bios:$dir/fast-start.raw"
