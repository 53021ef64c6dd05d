#!/bin/bash
# Tells how soon the appliance answers on a real Xen, by each way to boot, on
# the clock of dom0: when xl had created the guest, when its init ran, when the
# app was started, and when it answered. QEMU emulates the machine with Xen, so
# all figures are emulated twice, and only their relations say something. Then it
# compares the appliance with Debian, from the creation of the guest, both given
# to xl as kernel and disk.
#
#   bench/xen.sh [TARGET...]      (default: xen-pvh-direct xen-pv-direct xen-pvh xen-pv)
set -eu
cd "$(dirname "$0")/.."
. bench/lib.sh
[ $# -gt 0 ] || set -- xen-pvh-direct xen-pv-direct xen-pvh xen-pv

prepare
build "$dir/out" --update-lock --set 'outputs=[raw]'
echo "disk: $(sha256sum "$dir/out/hello-jvm.raw" | cut -d ' ' -f 1)"
printf '%-16s %9s %9s %9s %9s %10s\n' target created init app answer 'of the guest'
for target in "$@"; do
	"$dir/imgbuild" test "$dir/out/hello-jvm.raw" --on "$target" --json >"$dir/$target.json" 2>"$dir/log" ||
		{ cat "$dir/log" "$dir/$target.json" >&2; exit 1; }
	# Moments are of this host's clock; dom0's is as far from it as at created.
	jq -r --arg target "$target" '.runs[0].timeline | . as $t
		| def dom0: $t.dom0Created + .wall - $t.created.wall;
		[$target, $t.dom0Created, ($t.up | dom0), ($t.started | dom0), ($t.answered | dom0), $t.answered.wall - $t.created.wall] | @tsv' \
		"$dir/$target.json" |
		awk -F '\t' '{ printf "%-16s %7.1f s %7.1f s %7.1f s %7.1f s %8.1f s\n", $1, $2, $3, $4, $5, $6 }'
done

debian
go build -o "$dir/boot" ./bench/boot
"$dir/boot" -rounds 1 -timeout 10m -ready 'listening on port' -memory 512 -cpus 1 \
	-disk "$debian/debian.raw" -kernel "$debian/vmlinuz" -initramfs "$debian/initrd.img" \
	-cmdline "$(cat "$debian/cmdline")" "xen-pvh-direct:$dir/out/hello-jvm.raw"
