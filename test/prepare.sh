#!/bin/sh
# prepare.sh FOLDER
#
# Makes what the tests that boot guests need, below FOLDER, and prints the
# variables that lead to it:
#
#   IMGBUILD_TEST_KERNEL  the universal kernel, from the cache or built now
#   IMGBUILD_TEST_DEBIAN  the distribution's kernel for virtual machines, unpacked
set -eu
dir=$(realpath -m "$1")
cd "$(dirname "$0")/.."

mkdir -p "$dir/debian"
bin/imgbuild build recipes/go-static.yaml --set 'outputs=[kernel]' --update-lock -o "$dir" >&2

if ! ls "$dir"/debian/lib/modules/*/modules.dep >/dev/null 2>&1; then
	# The lists of a new machine may be none, or old.
	apt-cache show linux-image-cloud-amd64 >/dev/null 2>&1 || apt-get update -q >&2
	package=$(apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" && /linux-image-/ { print $2; exit }')
	cd "$dir"
	apt-get download -q "$package" >&2 || { apt-get update -q && apt-get download -q "$package"; } >&2
	dpkg -x "$package"_*.deb debian
	rm -f "$package"_*.deb
	cd - >/dev/null
	# A merged /usr puts the modules below usr/lib.
	[ -d "$dir/debian/lib/modules" ] || ln -s usr/lib "$dir/debian/lib"
	/sbin/depmod -b "$dir/debian" "$(ls "$dir/debian/lib/modules")"
fi
echo "IMGBUILD_TEST_KERNEL=$dir/go-static.vmlinuz"
echo "IMGBUILD_TEST_DEBIAN=$dir/debian"
