#!/bin/bash
# Proves the Dockerfile with a real Docker daemon, which it starts and stops:
#
#   - the image holds the very binary that `make build` makes;
#   - a container without privileges, as the image's user, makes the same bytes
#     of an appliance as the binary does on this machine;
#   - any other user can build, without a single capability;
#   - the appliance's tree runs in the container engine and answers.
#
# It needs root, about 6 GB below TMPDIR, and the programs that need() lists;
# `make docker-test` installs those. Environment:
#
#   IMGBUILD_CACHE  a cache of imgbuild to take a finished kernel from, which is
#                   all that the container gets of it. Without, the kernel is
#                   compiled twice, here and in the container, and compared too.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/../.."
# shellcheck source=test/docker/engine.sh
. test/docker/engine.sh
# shellcheck source=test/docker/bases.sh
. test/docker/bases.sh

image=imgbuild-test
recipe=recipes/hello-jvm.yaml
name=hello-jvm
user=1000     # of the image
other=54321   # somebody whom the image does not know

fail() { echo "docker-test: $*" >&2; exit 1; }

# need PROGRAM PACKAGE
need() { command -v "$1" >/dev/null || fail "$1 is missing: install the package $2"; }

# step TEXT COMMAND... runs a command and tells how long it took.
step() {
	local begin=$SECONDS
	echo "docker-test: $1 ..." >&2
	"${@:2}"
	steps+=("$(printf '%5d s  %s' $((SECONDS - begin)) "$1")")
}

cleanup() {
	local status=$?
	trap - EXIT
	trap '' INT TERM
	[ $status = 0 ] || grep -hE 'level=(error|fatal)' "$work"/imgbuild-docker-*/log >&2 || true
	stop_engine
	rm -rf "$work"
	exit $status
}

# project UID makes a folder with the recipe and its jar that belongs to a user.
project() {
	local dir=$work/$1
	mkdir -p "$dir/recipes" "$dir/examples/hello-jvm/build"
	cp "$recipe" "$dir/recipes/"
	cp examples/hello-jvm/build/hello.jar "$dir/examples/hello-jvm/build/"
	chown -R "$1:$1" "$dir"
}

# seed FROM TO UID copies finished kernels, and nothing else, to a new cache.
seed() {
	local result digest
	mkdir -p "$2/results" "$2/content/blobs/sha256"
	while read -r result; do
		cp "$result" "$2/results/"
		while read -r digest; do
			cp "$1/content/blobs/sha256/$digest" "$2/content/blobs/sha256/"
		done < <(sed -n 's/.*"digest": "sha256:\([0-9a-f]*\)".*/\1/p' "$result")
	done < <(grep -ls '"kind": "kernel universal"' "$1"/results/*)
	chown -R "$3:$3" "$2"
}

# contain runs imgbuild as the documentation says. The project of the first
# argument is the folder that is mounted.
contain() {
	docker run --rm -e http_proxy -e https_proxy -e no_proxy -v "$work/$1:/work" "${@:2}"
}

build_image() {
	build --build-arg BASE=$image/debian --build-arg GO_IMAGE=$image/go \
		--build-arg GOPROXY=file:///usr/local/modules --build-arg GOFLAGS \
		--build-arg VERSION="$(bin/imgbuild version | awk '{print $2}')" --tag $image .
}

# same TEXT A B
same() { [ "$2" = "$3" ] || fail "$1: $2 on this machine, $3 in the container"; }

sums() { (cd "$1" && sha256sum $name.raw $name.qcow2 $name.ova $name.oci.tar); }

build_here() {
	(cd "$work/0" && "$here" build $recipe --set 'outputs=[raw, qcow2, ova, oci]' >/dev/null)
}

build_there() {
	contain $user -v "$work/cache:/cache" $image build $recipe >/dev/null
	contain $user -v "$work/cache:/cache" $image build $recipe --set 'outputs=[raw, qcow2, ova, oci]' >/dev/null
}

compare() {
	sums "$work/0/out" | tee "$work/here"
	sums "$work/$user/out" >"$work/there"
	diff "$work/here" "$work/there" >&2 || {
		diff <(cd "$work/0" && "$here" plan $recipe --json) \
			<(contain $user -v "$work/cache:/cache" $image plan $recipe --json) >&2 || true
		fail "the container's appliance is another one; above is what its stages were made of"
	}
	same "owner of the outputs" $user "$(stat -c %u "$work/$user/out/$name.raw")"
}

# The kernel is Debian's, which needs no compiling: the cache is a new volume.
build_as_other() {
	contain $other --user $other:$other --cap-drop ALL --security-opt no-new-privileges --read-only --tmpfs /tmp:exec \
		$image build $recipe --set 'kernel={package: linux-image-cloud-amd64}' >/dev/null
	same "owner of the outputs" $other "$(stat -c %u "$work/$other/out/$name.raw")"
}

serve() {
	docker load --quiet --input "$work/$user/out/$name.oci.tar"
	docker run --rm --detach --name app --publish 127.0.0.1:18080:8080 --cap-drop ALL --read-only --tmpfs /tmp $name:1.0.0 >/dev/null
	in_engine curl --silent --show-error --fail --retry 30 --retry-delay 1 --retry-all-errors \
		http://127.0.0.1:18080/ | tee "$work/answer"
	grep -q '^Hello from' "$work/answer" || fail "the app answers something else"
	docker stop app >/dev/null
}

[ "$(id -u)" = 0 ] || fail "a Docker daemon needs root"
need dockerd docker.io
need docker docker.io
need iptables iptables
need slirp4netns slirp4netns
need mmdebstrap mmdebstrap
need curl curl
work=$(mktemp -d "${TMPDIR:-/tmp}/imgbuild-docker.XXXXXX")
trap cleanup EXIT
trap 'exit 130' INT TERM
chmod 755 "$work"
steps=()
here=$PWD/bin/imgbuild
export IMGBUILD_CACHE_DIR=${IMGBUILD_CACHE:-$work/0/cache}

step "start a Docker daemon" start_engine "$work/imgbuild-docker-$$"
step "make a Debian base" debian_base "$work/debian" $image/debian
step "make a Go base" go_base "$work/go" $image/go $image/debian
step "build the image" build_image
same "the binary" "$(sha256sum <bin/imgbuild)" "$(docker run --rm --entrypoint cat $image /usr/local/bin/imgbuild | sha256sum)"
for uid in 0 "$user" "$other"; do project "$uid"; done
step "build here" build_here
mkdir -p "$work/cache"
chown $user:$user "$work/cache"
[ -z "${IMGBUILD_CACHE-}" ] || seed "$IMGBUILD_CACHE" "$work/cache" $user
step "build in a container" build_there
step "compare" compare
step "build in a container as somebody else" build_as_other
step "run the appliance's tree in the engine" serve

printf '%s\n' "${steps[@]}"
for i in $image/debian $image $name:1.0.0; do docker images --format '{{.Size}}  {{.Repository}}' "$i"; done
