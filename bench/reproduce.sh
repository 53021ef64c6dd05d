#!/bin/bash
# Builds one recipe twice and compares every output bit by bit. The second
# build has another cache, another folder, later files, another time zone,
# language, umask and number of jobs, and the first one's lock: that is an
# input, as it is in a checkout, and holds the class list of the training run.
#
#   bench/reproduce.sh [RECIPE]
#
#   KERNEL=cache    take the finished kernel and the packages from the user's
#                   cache, so that only the rest is built twice
#
# Otherwise the kernel too is compiled twice, each time with an empty ccache:
# an hour or so on two processors.
set -eu
cd "$(dirname "$0")/.."
. bench/lib.sh
prepare
if [ $# != 0 ]; then
	recipe=$dir/$1
	mkdir -p "$(dirname "$recipe")"
	cp "$1" "$recipe"
fi
path=${recipe#"$dir"/}
outputs=${OUTPUTS:-[raw, qcow2, ova, oci]}

# seed CACHE fills a cache with the kernels and packages of the user's.
seed() {
	user=${IMGBUILD_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/imgbuild}
	mkdir -p "$1/results" "$1/content/blobs/sha256"
	grep -lE '"kind": "(kernel universal|packages)"' -r "$user/results" | while read -r result; do
		grep -oE '"digest": "sha256:[0-9a-f]+' "$result" | cut -d: -f3 | while read -r blob; do
			cp -l "$user/content/blobs/sha256/$blob" "$1/content/blobs/sha256/" 2>/dev/null ||
				cp -n "$user/content/blobs/sha256/$blob" "$1/content/blobs/sha256/" || true
		done
		cp "$result" "$1/results/"
	done
}

# once N RECIPE OPTIONS... builds into out$n.
once() {
	n=$1 recipe=$2
	shift 2
	[ "${KERNEL:-}" != cache ] || seed "$dir/cache$n"
	export CCACHE_DIR=$dir/ccache$n TMPDIR=$dir/tmp$n
	mkdir -p "$TMPDIR"
	build "$dir/out$n" --cache-dir "$dir/cache$n" --set "outputs=$outputs" "$@"
}

mkdir -p "$dir/another/folder"
cp -r "$dir/recipes" "$dir/examples" "$dir/another/folder/"
find "$dir/another" -exec touch -d 2031-02-03 {} +
rm -f "$dir/${path%.yaml}.lock.json"
once 1 "$recipe"
cp "$dir/${path%.yaml}.lock.json" "$dir/another/folder/$(dirname "$path")/"
chmod -R go-rwx "$dir/another"
umask 077
export TZ=Pacific/Auckland LC_ALL=C.UTF-8
once 2 "$dir/another/folder/$path" -j 1

rc=0
for f in "$dir"/out1/*; do
	case $f in *.json) continue ;; esac
	verdict=identical
	diff -rq "$f" "$dir/out2/$(basename "$f")" >/dev/null || { verdict=DIFFERENT; rc=1; }
	printf '%-10s %s  %s\n' "$verdict" "$(find "$f" -type f -print0 | sort -z | xargs -0 cat | sha256sum | cut -c1-16)" "$(basename "$f")"
done
# The kernel by itself, of each cache and of the user's.
for cache in "$dir/cache1" "$dir/cache2" "${IMGBUILD_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/imgbuild}"; do
	grep -lr '"kind": "kernel universal"' "$cache/results" | while read -r result; do
		printf 'kernel     %s  key %s, %s\n' \
			"$(grep -A2 '"kernel": {' "$result" | grep -oE 'sha256:[0-9a-f]{16}' | cut -d: -f2)" \
			"$(basename "$result" | cut -c1-16)" "$(basename "$cache")"
	done
done
exit $rc
