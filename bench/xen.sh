#!/bin/bash
# Tells how soon the appliance answers on a real Xen, by each way to boot, on
# the clock of dom0: when xl had created the guest, when its init ran, when the
# app was started, and when it answered; and the processor time from the guest's
# creation to the answer. QEMU emulates the machine with Xen, so all figures are
# emulated twice, and only their relations say something. They are medians of
# the rounds, in each of which every way has its turn. Then it compares the
# appliance with Debian, from the creation of the guest, both given to xl as
# kernel and disk.
#
#   bench/xen.sh [ROUNDS] [TARGET...]   (default: 3 xen-pvh-direct xen-pv-direct xen-pvh xen-pv)
#
# DISK names the disk of another appliance, such as tomcat's, to be measured in
# the place of hello-jvm and without Debian: by its own checks.
set -eu
cd "$(dirname "$0")/.."
. bench/lib.sh
rounds=${1:-3}
[ $# = 0 ] || shift
[ $# -gt 0 ] || set -- xen-pvh-direct xen-pv-direct xen-pvh xen-pv

prepare
disk=${DISK:-$dir/out/hello-jvm.raw}
[ -n "${DISK:-}" ] || build "$dir/out" --update-lock --set 'outputs=[raw]'
echo "disk: $(sha256sum "$disk" | cut -d ' ' -f 1)"
for round in $(seq "$rounds"); do
	for target in "$@"; do
		"$dir/imgbuild" test "$disk" --on "$target" --json >"$dir/test.json" 2>"$dir/log" ||
			{ cat "$dir/log" "$dir/test.json" >&2; exit 1; }
		# Moments are of this host's clock; dom0's is as far from it as at created.
		jq -r '.runs[0].timeline | . as $t | def dom0: $t.dom0Created + .wall - $t.created.wall;
			[$t.dom0Created, ($t.up | dom0), ($t.started | dom0), ($t.answered | dom0),
			$t.answered.wall - $t.created.wall, $t.answered.cpu - $t.created.cpu] | @tsv' "$dir/test.json" |
			tee -a "$dir/$target" | awk -v n="$round" -v t="$target" '{ printf "round %d  %6.1f s  %6.1f CPU-seconds  %s\n", n, $5, $6, t }'
	done
done
printf '%-16s %9s %9s %9s %9s %9s %9s\n' target created init app answer guest CPU
for target in "$@"; do
	printf '%-16s' "$target"
	for column in 1 2 3 4 5 6; do median $column "$dir/$target" | awk '{ printf " %7.1f s", $1 }'; done
	echo
done
[ -z "${DISK:-}" ] || exit 0

debian
go build -o "$dir/boot" ./bench/boot
"$dir/boot" -rounds "$rounds" -timeout 10m -ready 'listening on port' -memory 512 -cpus 1 \
	-disk "$debian/debian.raw" -kernel "$debian/vmlinuz" -initramfs "$debian/initrd.img" \
	-cmdline "$(cat "$debian/cmdline")" "xen-pvh-direct:$dir/out/hello-jvm.raw"
