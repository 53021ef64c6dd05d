#!/bin/bash
# Compares the container writers of imgbuild with qemu-img, the compressed
# streams with xz, zstd and gzip, and the archives for Oracle VM and XenServer
# with tar and gzip, or split, sha1sum and tar: time, processor time and size, and the ratio
# of both (below 1.00, imgbuild is faster or smaller), and the most memory that
# imgbuild took. Each result is compared with the source before it counts. At
# the end four formats are written in one pass, beside the slowest of them alone.
#
#   bench/containers.sh [raw image]
#
# Without an image, one is made of an ext4 filesystem with the files below
# $TREE (default /usr/lib/python3). Needs the Debian packages qemu-utils,
# e2fsprogs, xz-utils, zstd and gzip, and GNU time for the memory.
set -eu
cd "$(dirname "$0")/.."

dir=$(mktemp -d "${TMPDIR:-/tmp}/containers.XXXXXX")
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM

go build -o "$dir/ours" ./bench/containers
src=${1:-}
if [ -z "$src" ]; then
	src=$dir/src.raw
	truncate -s 1G "$src"
	mke2fs -q -t ext4 -d "${TREE:-/usr/lib/python3}" "$src"
fi

# measure NAME COMMAND... runs a command and keeps the seconds that it took, of
# the clock and of all processors, and its memory in MiB.
measure() {
	out=$dir/$1.time
	shift
	if command -v /usr/bin/time >/dev/null; then
		/usr/bin/time -f '%e %U %S %M' -o "$out" "$@" >/dev/null
	else
		TIMEFORMAT='%R %U %S 0'
		{ time "$@" >/dev/null 2>&1; } 2>"$out"
	fi
}

# report NAME prints what was measured.
report() {
	sa=$(stat -c %s "$dir/a") sb=$(stat -c %s "$dir/b")
	cat "$dir/ours.time" "$dir/theirs.time" | tr '\n' ' ' | awk -v n="$1" -v sa="$sa" -v sb="$sb" '{
		printf "%-22s %7.2f s %7.2f s  x%.2f  cpu x%.2f  %9.1f MiB %9.1f MiB  x%.3f  %4d MiB\n",
			n, $1, $5, $1 / $5, ($2 + $3 + 0.001) / ($6 + $7 + 0.001), sa / 1048576, sb / 1048576, sa / sb, $4 / 1024 }'
}

# round NAME OUR-FORMAT QEMU-FORMAT QEMU-OPTIONS...
round() {
	name=$1 ours=$2 format=$3
	shift 3
	rm -f "$dir/a" "$dir/b"
	measure ours "$dir/ours" "$ours" "$src" "$dir/a"
	measure theirs qemu-img convert -f raw -O "$format" "$@" "$src" "$dir/b"
	qemu-img compare -q -f raw -F "$format" "$src" "$dir/a"
	report "$name"
}

# stream OUR-FORMAT COMMAND: COMMAND compresses to stdout, and unpacks with -d.
stream() {
	rm -f "$dir/a" "$dir/b"
	measure ours "$dir/ours" "$1" "$src" "$dir/a"
	measure theirs sh -c "$2 -c \"\$1\" > \"\$2\"" sh "$src" "$dir/b"
	$2 -dc <"$dir/a" | cmp - "$src"
	report "$1, $2"
}

# template: tar and gzip pack the disk for Oracle VM.
template() {
	rm -rf "$dir/a" "$dir/b" "$dir/in"
	mkdir "$dir/in"
	ln "$src" "$dir/in/System.img" 2>/dev/null || cp --sparse=always "$src" "$dir/in/System.img"
	measure ours "$dir/ours" ovm "$src" "$dir/a"
	measure theirs tar -C "$dir/in" -czf "$dir/b" System.img
	tar -xzOf "$dir/a" System.img | cmp - "$src"
	report 'ovm, tar -cz'
}

# chunks IN OUT FOLDER makes an export for XenServer as a script does.
cat >"$dir/chunks" <<'END'
set -eu
mkdir -p "$3/Ref:3"
echo '<value/>' >"$3/ova.xml"
split -b 1M -d -a 8 "$1" "$3/Ref:3/"
cd "$3/Ref:3"
zero=$(head -c 1048576 /dev/zero | sha1sum | cut -d ' ' -f 1)
last=$(ls | tail -n 1)
sha1sum * | while read -r sum chunk; do
	if [ "$sum" = "$zero" ] && [ "$chunk" != 00000000 ] && [ "$chunk" != "$last" ]; then
		rm "$chunk"
	else
		printf %s "$sum" >"$chunk.checksum"
	fi
done
tar -C "$3" --sort=name -cf "$2" ova.xml Ref:3
END

# export_round: the result is put together by dd.
export_round() {
	rm -rf "$dir/a" "$dir/b" "$dir/in" "$dir/back"
	measure ours "$dir/ours" xva "$src" "$dir/a"
	measure theirs sh "$dir/chunks" "$src" "$dir/b" "$dir/in"
	rm -rf "$dir/in"
	mkdir "$dir/in"
	tar -C "$dir/in" -xf "$dir/a"
	truncate -s "$(stat -c %s "$src")" "$dir/back"
	for chunk in "$dir"/in/Ref:3/????????; do
		dd if="$chunk" of="$dir/back" bs=1M seek="$(basename "$chunk" | sed 's/^0*//;s/^$/0/')" conv=notrunc status=none
	done
	cmp "$dir/back" "$src"
	report 'xva, split + tar'
}

# together FORMAT... writes these in one pass, beside the slowest of them alone.
together() {
	slowest=
	for one; do
		measure "$one" "$dir/ours" "$one" "$src" "$dir/b"
		if [ -z "$slowest" ] || awk -v a="$(cut -d' ' -f1 "$dir/$one.time")" -v b="$(cut -d' ' -f1 "$dir/$slowest.time")" 'BEGIN { exit !(a > b) }'; then
			slowest=$one
		fi
	done
	all=$(echo "$*" | tr ' ' ,)
	measure all "$dir/ours" "$all" "$src" "$dir/a"
	cat "$dir/all.time" "$dir/$slowest.time" | tr '\n' ' ' | awk -v all="$all" -v n="$slowest" '{
		printf "%s in one pass: %.2f s, %s alone: %.2f s  x%.2f  cpu x%.2f  %d MiB\n",
			all, $1, n, $5, $1 / $5, ($2 + $3) / ($6 + $7), $4 / 1024 }'
}

printf '%-22s %9s %9s %6s %9s   %13s %13s %7s %9s\n' format imgbuild peer time cpu imgbuild peer size memory
round raw raw raw
round qcow2 qcow2 qcow2
round 'qcow2, deflate' qcow2-deflate qcow2 -c
round 'qcow2, zstd' qcow2-zstd qcow2 -c -o compression_type=zstd
round 'vmdk, streamOptimized' vmdk vmdk -o subformat=streamOptimized
round 'vmdk, monolithicSparse' vmdk-sparse vmdk -o subformat=monolithicSparse
round 'vhd, dynamic' vhd vpc -o subformat=dynamic,force_size=on
round 'vhd, fixed' vhd-fixed vpc -o subformat=fixed,force_size=on
round 'vhdx, 1 MiB blocks' vhdx vhdx -o block_size=1M
stream zst 'zstd -q -T2'
stream gz 'gzip -6'
stream xz 'xz -T2'
template
export_round
together raw qcow2 vmdk vhd
together raw qcow2-zstd vmdk vhd
