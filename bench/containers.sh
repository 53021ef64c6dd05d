#!/bin/sh
# Compares the container writers of imgbuild with qemu-img: time and size, and
# the ratio of both (below 1.00, imgbuild is faster or smaller). Each result is
# compared with the source before it counts.
#
#   bench/containers.sh [raw image]
#
# Without an image, one is made of an ext4 filesystem with the files below
# $TREE (default /usr/lib/python3). Needs the Debian packages qemu-utils and
# e2fsprogs.
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

# seconds COMMAND... prints how long the command took.
seconds() {
	start=$(date +%s%N)
	"$@" >/dev/null
	end=$(date +%s%N)
	awk "BEGIN { printf \"%.2f\", ($end - $start) / 1e9 }"
}

# round NAME OUR-FORMAT QEMU-FORMAT QEMU-OPTIONS...
round() {
	name=$1 ours=$2 format=$3
	shift 3
	rm -f "$dir/a" "$dir/b"
	a=$(seconds "$dir/ours" "$ours" "$src" "$dir/a")
	b=$(seconds qemu-img convert -f raw -O "$format" "$@" "$src" "$dir/b")
	qemu-img compare -q -f raw -F "$format" "$src" "$dir/a"
	sa=$(stat -c %s "$dir/a") sb=$(stat -c %s "$dir/b")
	awk -v n="$name" -v a="$a" -v b="$b" -v sa="$sa" -v sb="$sb" 'BEGIN {
		printf "%-22s %7.2f s %7.2f s  x%.2f   %9.1f MiB %9.1f MiB  x%.3f\n",
			n, a, b, a / b, sa / 1048576, sb / 1048576, sa / sb }'
}

printf '%-22s %9s %9s %6s   %13s %13s %7s\n' format imgbuild qemu-img time imgbuild qemu-img size
round raw raw raw
round qcow2 qcow2 qcow2
round 'qcow2, deflate' qcow2-deflate qcow2 -c
round 'qcow2, zstd' qcow2-zstd qcow2 -c -o compression_type=zstd
round 'vmdk, streamOptimized' vmdk vmdk -o subformat=streamOptimized
