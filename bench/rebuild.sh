#!/bin/bash
# Times what a developer waits for: a build of which nothing has changed, and
# one whose jar has, with and without a training run. Beside it, mkosi and debos
# do their nearest equivalent: a Debian disk with systemd, a JRE, a kernel and
# the same jar, from what each keeps between builds: mkosi the image before the
# jar, debos a tar of the packages.
#
#   bench/rebuild.sh [ROUNDS]
#
# Prints medians, and ratios to imgbuild with training; all tools take turns in
# each round. Aims: 0.3 s when nothing changed, 4 s with training, 2 s without.
# The peers need root, and the Debian packages mkosi, debos and parted; one that
# is not installed is left out. Their packages come from where apt on this
# machine gets its own.
set -eu
cd "$(dirname "$0")/.."
. bench/lib.sh
rounds=${1:-5}
prepare
app=$dir/examples/hello-jvm
jar=$app/build/hello.jar

# change makes another jar of the sources, as an edit would: one that no cache
# has seen, not that of an earlier run either.
change() {
	sed -i "s/\"Hello from[^%]*%s/\"Hello from $1-$(date +%s) %s/" "$app/src/hello/Hello.java"
	javac --release 17 -d "$dir/classes" "$app/src/hello/Hello.java"
	jar --create --file "$jar" --main-class hello.Hello --date 1980-01-01T00:00:02Z -C "$dir/classes" .
}

mirror=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
	awk '$1 == "bookworm" && $2 == "main" { print $3; exit }')

# own COMMAND... runs it where /run is a filesystem of its own, as where systemd
# runs: systemd-nspawn, which both peers need, works on nothing else.
own() {
	if [ -d /run/systemd/system ]; then "$@"; else
		unshare -m sh -c 'mount -t tmpfs tmpfs /run && mkdir -p /run/lock && exec "$@"' sh "$@"
	fi
}

mkosi_prepare() {
	mkdir -p "$dir/mkosi/mkosi.extra/opt" "$dir/mkosi/mkosi.cache"
	cat >"$dir/mkosi/mkosi.conf" <<-CONF
		[Distribution]
		Distribution=debian
		Release=bookworm
		Mirror=$mirror
		[Output]
		Format=gpt_ext4
		Output=image.raw
		Bootable=no
		[Content]
		WithDocs=yes
		Packages=udev,dbus,iproute2,openjdk-17-jre-headless,linux-image-cloud-amd64,initramfs-tools
		Cache=mkosi.cache
	CONF
	mkosi_build
}
mkosi_build() {
	cp "$jar" "$dir/mkosi/mkosi.extra/opt/app.jar"
	(cd "$dir/mkosi" && own mkosi --force --incremental --nspawn-keep-unit build)
}

debos_prepare() {
	mkdir -p "$dir/debos/overlay/opt"
	cat >"$dir/debos/base.yaml" <<-'RECIPE'
		architecture: amd64
		actions:
		  - {action: debootstrap, suite: bookworm, mirror: "{{ .mirror }}", variant: minbase, components: [main], check-gpg: false}
		  - {action: apt, packages: [systemd-sysv, udev, dbus, iproute2, openjdk-17-jre-headless, linux-image-cloud-amd64, initramfs-tools]}
		  - {action: pack, file: base.tar, compression: none}
	RECIPE
	cat >"$dir/debos/app.yaml" <<-'RECIPE'
		architecture: amd64
		actions:
		  - {action: unpack, file: base.tar}
		  - {action: overlay, source: overlay}
		  - action: image-partition
		    imagename: app.img
		    imagesize: 1536MB
		    partitiontype: gpt
		    mountpoints: [{mountpoint: /, partition: root}]
		    partitions: [{name: root, fs: ext4, start: 1MiB, end: 100%}]
		  - {action: filesystem-deploy, setup-kernel-cmdline: false}
	RECIPE
	(cd "$dir/debos" && own debos --disable-fakemachine -t "mirror:$mirror" base.yaml)
	debos_build
}
debos_build() {
	cp "$jar" "$dir/debos/overlay/opt/app.jar"
	(cd "$dir/debos" && own debos --disable-fakemachine app.yaml)
}

peers=
for peer in mkosi debos; do
	command -v "$peer" >/dev/null || continue
	"${peer}_prepare" >"$dir/log" 2>&1 || { tail -n 20 "$dir/log" >&2; exit 1; }
	peers="$peers $peer"
done
build "$dir/out" --update-lock
build "$dir/out" --update-lock --no-train
for n in $(seq "$rounds"); do
	build "$dir/out" --update-lock
	measure "$dir/nothing" "$dir/imgbuild" build "$recipe" -o "$dir/out"
	change "a$n"
	measure "$dir/untrained" "$dir/imgbuild" build "$recipe" -o "$dir/out" --update-lock --no-train
	change "b$n"
	measure "$dir/trained" "$dir/imgbuild" build "$recipe" -o "$dir/out" --update-lock
	for peer in $peers; do
		change "$peer$n"
		measure "$dir/$peer.times" "${peer}_build"
	done
done

# report NAME FILE
report() {
	s=$(median 1 "$2")
	printf '%-44s %7.2f s  %7.2f CPU-s  x%s\n' "$1" "$s" "$(median 2 "$2")" "$(ratio "$s" "$trained")"
}
trained=$(median 1 "$dir/trained")
report 'imgbuild, nothing changed' "$dir/nothing"
report 'imgbuild, jar changed, not trained' "$dir/untrained"
report 'imgbuild, jar changed, trained' "$dir/trained"
for peer in $peers; do report "$peer, jar changed" "$dir/$peer.times"; done
[ -z "${KEEP:-}" ] || (cd "$dir" && head -n 99 nothing untrained trained ./*.times)
