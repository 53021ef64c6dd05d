#!/bin/sh
# Builds one recipe on two fresh cache folders, in two checkouts of the app's
# folder with other times, and compares every output bit by bit.
#
#   bench/reproduce.sh [RECIPE]
#
# KERNEL=cache takes finished kernels from the user's cache, so that only the
# rest is built twice; without it, the universal kernel is built twice too.
set -eu
cd "$(dirname "$0")/.."
recipe=${1:-recipes/hello-jvm.yaml}
dir=$(mktemp -d "${TMPDIR:-/tmp}/reproduce.XXXXXX")
trap 'rm -rf "$dir"' EXIT

make -s build examples
name=$(basename "$recipe" .yaml)
for n in 1 2; do
	mkdir -p "$dir/$n/a/folder/$n"
	cp -r recipes examples "$dir/$n/a/folder/$n/"
	[ $n = 1 ] || find "$dir/$n" -exec touch -d '2001-02-03' {} +
	if [ "${KERNEL:-}" = cache ]; then
		cp -a "${XDG_CACHE_HOME:-$HOME/.cache}/imgbuild" "$dir/cache$n"
		# Everything but the kernel and the packages is made anew.
		grep -lE '"kind": ?"(universal|packages)"' -r "$dir/cache$n/results" >"$dir/keep" || true
		find "$dir/cache$n/results" -type f | grep -vxFf "$dir/keep" | xargs -r rm -f
	fi
	rm -f "$dir/$n/a/folder/$n/recipes/$name.lock.json"
	# The first build's lock is what the second starts from, as in a checkout;
	# the class list in it keeps the archive the same.
	[ $n = 1 ] || cp "$dir/1/a/folder/1/recipes/$name.lock.json" "$dir/$n/a/folder/$n/recipes/"
	bin/imgbuild build "$dir/$n/a/folder/$n/recipes/$name.yaml" -o "$dir/out$n" --cache-dir "$dir/cache$n" >/dev/null
done
rc=0
for f in "$dir"/out1/*; do
	case $f in *.json) continue ;; esac
	if cmp -s "$f" "$dir/out2/$(basename "$f")"; then verdict=identical; else verdict=DIFFERENT rc=1; fi
	printf '%-10s %s  %s\n' "$verdict" "$(sha256sum <"$f" | cut -c1-16)" "$(basename "$f")"
done
exit $rc
