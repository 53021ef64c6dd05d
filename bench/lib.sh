# shellcheck shell=bash
# What the comparisons share. Sourced by each from the root of the repository;
# the caller has set -eu.
#
#   DEBIAN=FOLDER   the comparison image (default: out/bench/debian, made by
#                   bench/debian-image.sh when missing and then kept)
#   KEEP=1          keep the scratch folder

dir=$(mktemp -d "${TMPDIR:-/tmp}/bench.XXXXXX")
clean() { [ -n "${KEEP:-}" ] || rm -rf "$dir"; }
trap clean EXIT
trap 'exit 130' INT TERM

# The program and the recipe are copied, so that neither another build nor an
# edit changes them while the measurement runs, and the lock in the repository
# stays as it is.
prepare() {
	make -s build examples
	cp bin/imgbuild "$dir/imgbuild"
	mkdir -p "$dir/recipes" "$dir/examples"
	cp recipes/hello-jvm.yaml "$dir/recipes/"
	[ ! -e recipes/hello-jvm.lock.json ] || cp recipes/hello-jvm.lock.json "$dir/recipes/"
	cp -r examples/hello-jvm "$dir/examples/"
	recipe=$dir/recipes/hello-jvm.yaml
}

# build FOLDER OPTIONS... builds the recipe; what it says is shown if it fails.
build() {
	into=$1
	shift
	"$dir/imgbuild" build "$recipe" -o "$into" --progress plain "$@" >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
}

# debian makes the comparison image unless it is there, and sets $debian.
debian() {
	debian=${DEBIAN:-out/bench/debian}
	[ -e "$debian/cmdline" ] || bench/debian-image.sh examples/hello-jvm/build/hello.jar "$debian"
}

# measure FILE COMMAND... appends the seconds that the command took, of the
# clock and of all its processes, to FILE.
measure() {
	to=$1
	shift
	TIMEFORMAT='%R %U %S'
	{ time "$@" >"$dir/log" 2>&1; } 2>"$dir/time" || { cat "$dir/log" >&2; exit 1; }
	awk '{ printf "%.2f %.2f\n", $1, $2 + $3 }' "$dir/time" >>"$to"
}

# median COLUMN FILE
median() {
	awk -v c="$1" '{ print $c }' "$2" | sort -n |
		awk '{ a[NR] = $1 } END { printf "%.2f", (a[int((NR + 1) / 2)] + a[int(NR / 2) + 1]) / 2 }'
}

# ratio A B prints A / B.
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f", a / b }'; }
