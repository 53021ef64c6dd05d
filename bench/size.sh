#!/bin/bash
# Compares the sizes of the appliance and of Debian 12 with systemd, a JRE and
# the same app: raw bytes, compressed containers, and the least memory in which
# a guest answers.
#
#   bench/size.sh [nomemory]
#
# The least memory is found by halving, a boot each; a guest counts as too small
# when two boots in a row gave no answer. nomemory leaves that out.
#
# Aims: raw at most a ninth, the OVA at most an eighth of the Debian image, an
# answer in at most 56 MiB. Needs the Debian package qemu-utils.
set -eu
cd "$(dirname "$0")/.."
. bench/lib.sh

prepare
build "$dir/out" --update-lock
build "$dir/small" --update-lock --set disk.root.filesystem=squashfs --set disk.root.compression=zstd
debian
qemu-img convert -f raw -O qcow2 -c "$debian/debian.raw" "$dir/debian.qcow2"
qemu-img convert -f raw -O qcow2 -c -o compression_type=zstd "$debian/debian.raw" "$dir/debian.zstd.qcow2"
qemu-img convert -f raw -O vmdk -o subformat=streamOptimized "$debian/debian.raw" "$dir/debian.vmdk"

allocated() { echo $(($(stat -c %b "$1") * 512)); }
length() { stat -c %s "$1"; }
# row NAME OURS THEIRS, in bytes.
row() { printf '%-52s %7.1f MB %7.1f MB  x%s\n' "$1" "$(mb "$2")" "$(mb "$3")" "$(ratio "$3" "$2")"; }
mb() { awk -v b="$1" 'BEGIN { printf "%.1f", b / 1e6 }'; }

raw=$(allocated "$dir/out/hello-jvm.raw")
ova=$(length "$dir/out/hello-jvm.ova")
qcow2=$(length "$dir/out/hello-jvm.qcow2")
# The kernel and the initramfs of the Debian image stand beside it as well as
# in its /boot: they are counted once.
theirs=$(allocated "$debian/debian.raw")
printf '%-52s %10s %10s\n' '' appliance Debian
row 'raw, allocated' "$raw" "$theirs"
row 'OVA; Debian raw' "$ova" "$theirs"
row 'OVA; Debian VMDK, streamOptimized' "$ova" "$(length "$dir/debian.vmdk")"
row 'OVA; Debian qcow2, deflate' "$ova" "$(length "$dir/debian.qcow2")"
row 'qcow2; Debian qcow2, deflate' "$qcow2" "$(length "$dir/debian.qcow2")"
row 'qcow2; Debian qcow2, zstd' "$qcow2" "$(length "$dir/debian.zstd.qcow2")"
ova=$(length "$dir/small/hello-jvm.ova")
row 'raw with squashfs+zstd; Debian raw' "$(allocated "$dir/small/hello-jvm.raw")" "$theirs"
row 'OVA with squashfs+zstd; Debian VMDK, streamOptimized' "$ova" "$(length "$dir/debian.vmdk")"
row 'OVA with squashfs+zstd; Debian qcow2, deflate' "$ova" "$(length "$dir/debian.qcow2")"
[ "${1:-}" != nomemory ] || exit 0

go build -o "$dir/boot" ./bench/boot
# least LOW HIGH STEP COMMAND... prints the least number of MiB, a multiple of
# STEP above LOW, with which the command succeeds; HIGH is known to.
least() {
	low=$1 high=$2 step=$3
	shift 3
	while [ $((high - low)) -gt "$step" ]; do
		middle=$(((low + high) / 2 / step * step))
		if "$@" "$middle" >"$dir/log" 2>&1 || "$@" "$middle" >"$dir/log" 2>&1; then high=$middle; else low=$middle; fi
	done
	echo "$high"
}
appliance() { "$dir/imgbuild" test "$image" --on direct --cpus 1 -m "$1MiB"; }
baseline() {
	"$dir/boot" -rounds 1 -cpus 1 -memory "$1" -timeout "${TIMEOUT:-180s}" -ready 'listening on port' \
		-disk "$debian/debian.raw" -kernel "$debian/vmlinuz" -initramfs "$debian/initrd.img" -cmdline "$(cat "$debian/cmdline")"
}
image=$dir/out/hello-jvm.raw
ours=$(least 32 128 4 appliance)
theirs=$(least 64 256 8 baseline)
printf '%-52s %7d MiB %6d MiB  x%s\n' 'least memory that answers' "$ours" "$theirs" "$(ratio "$theirs" "$ours")"
build "$dir/tight" --update-lock --set guest.memory=64MiB --set runtime.jvm.profile=fast-start
image=$dir/tight/hello-jvm.raw
ours=$(least 32 128 4 appliance)
printf '%-52s %7d MiB %6d MiB  x%s\n' 'least memory, built for 64 MiB and fast-start' "$ours" "$theirs" "$(ratio "$theirs" "$ours")"
