#!/bin/sh
# Times what a developer waits for: a build of which nothing has changed, and
# one whose jar has, with and without a training run. Beside it, mkosi and debos
# do their nearest equivalent: a Debian image with systemd, a JRE and the same
# jar, from trees that they keep between builds.
#
#   bench/rebuild.sh [ROUNDS]
#
# Prints medians in seconds, and ratios to imgbuild with training. Needs root
# for the peers, and the Debian packages mkosi and debos; a peer that is not
# installed is left out.
set -eu
cd "$(dirname "$0")/.."
rounds=${1:-5}
dir=$(mktemp -d "${TMPDIR:-/tmp}/rebuild.XXXXXX")
trap 'rm -rf "$dir"' EXIT

make -s build examples
cp -r recipes examples "$dir/"
recipe=$dir/recipes/hello-jvm.yaml
source=$dir/examples/hello-jvm/src/hello/Hello.java
jar=$dir/examples/hello-jvm/build/hello.jar

build() { bin/imgbuild build "$recipe" -o "$dir/out" "$@" >/dev/null 2>"$dir/log" || { cat "$dir/log"; exit 1; }; }

# change makes another jar of the sources, as an edit would.
change() {
	sed -i "s/Hello from[^%]*%s/Hello from $1 %s/" "$source"
	javac --release 17 -d "$dir/classes" "$source"
	jar --create --file "$jar" --main-class hello.Hello --date 1980-01-01T00:00:02Z -C "$dir/classes" .
}

# seconds COMMAND... prints how long the command took.
seconds() {
	start=$(date +%s%N)
	"$@" >"$dir/peer.log" 2>&1 || { cat "$dir/peer.log" >&2; exit 1; }
	awk "BEGIN { print ($(date +%s%N) - $start) / 1e9 }"
}

median() { sort -n | awk '{ a[NR] = $1 } END { printf "%.2f", a[int((NR + 1) / 2)] }'; }

# report NAME SECONDS
report() { awk -v n="$1" -v s="$2" -v o="$trained" 'BEGIN { printf "%-42s %7.2f s  x%.1f\n", n, s, s / o }'; }

build --update-lock
for n in $(seq "$rounds"); do
	seconds build >>"$dir/nothing"
	change "a$n"
	seconds build --update-lock >>"$dir/trained"
	change "b$n"
	seconds build --update-lock --no-train >>"$dir/untrained"
done
trained=$(median <"$dir/trained")
report 'imgbuild, nothing changed' "$(median <"$dir/nothing")"
report 'imgbuild, jar changed, trained' "$trained"
report 'imgbuild, jar changed, not trained' "$(median <"$dir/untrained")"

packages='systemd systemd-sysv udev dbus iproute2 openjdk-17-jre-headless linux-image-cloud-amd64'
if command -v mkosi >/dev/null; then
	mkdir -p "$dir/mkosi/mkosi.extra/opt" "$dir/mkosi/mkosi.cache"
	cat >"$dir/mkosi/mkosi.conf" <<-CONF
		[Distribution]
		Distribution=debian
		Release=bookworm
		[Output]
		Format=disk
		Output=image.raw
		Bootable=yes
		[Content]
		Packages=$packages
		Cache=mkosi.cache
	CONF
	[ -z "${MIRROR:-}" ] || sed -i "/^Release=/a Mirror=$MIRROR" "$dir/mkosi/mkosi.conf"
	peer() { cp "$jar" "$dir/mkosi/mkosi.extra/opt/app.jar" && (cd "$dir/mkosi" && mkosi --force --incremental build); }
	peer >"$dir/mkosi.log" 2>&1 || { tail -20 "$dir/mkosi.log"; exit 1; }
	for n in $(seq "$rounds"); do change "m$n"; seconds peer >>"$dir/mkosi.times"; done
	report 'mkosi --incremental, jar changed' "$(median <"$dir/mkosi.times")"
fi
