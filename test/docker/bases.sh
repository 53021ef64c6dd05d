# Base images that stand in for those of Docker Hub, sourced by test.sh: made
# from the package sources and the Go toolchain of this machine, so that the
# test needs no registry. Whatever proxies apt uses here, it uses there.

# shellcheck shell=bash

# debian_base DIR TAG imports a Debian of this machine's release and sources.
debian_base() {
	mkdir -p "$1"
	# shellcheck disable=SC2016
	apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
		'Created-By: Packages' 'Origin: Debian' | sort -u >"$1/sources.list"
	[ -s "$1/sources.list" ] || fail "apt knows no sources of Debian: run apt-get update"
	apt-config dump Acquire | grep -v IndexTargets >"$1/apt.conf"
	mmdebstrap --quiet --variant=minbase --aptopt="$1/apt.conf" \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
		"$(. /etc/os-release && echo "$VERSION_CODENAME")" "$1/base.tar" "$1/sources.list"
	docker import "$1/base.tar" "$2" >/dev/null
	rm "$1/base.tar"
}

# go_base DIR TAG FROM adds to a base what golang images have: the toolchain,
# make, and the modules of imgbuild as a module proxy in /usr/local/modules.
go_base() {
	local go=${GO:-go}
	mkdir -p "$1/go"
	tar -C "$($go env GOROOT)" --exclude=./test --exclude=./api --exclude=./doc -cf - . | tar -C "$1/go" -xf -
	# The cache of this machine comes first; what it lacks comes from where it
	# gets modules.
	GOPROXY="file://$($go env GOMODCACHE)/cache/download,$($go env GOPROXY)" \
		GOFLAGS=-modcacherw GOMODCACHE=$1/cache $go mod download
	mv "$1/cache/cache/download" "$1/modules"
	rm -r "$1/cache"
	cat >"$1/Dockerfile" <<-EOF
		FROM $3
		RUN apt-get update && apt-get install -y --no-install-recommends make
		COPY go /usr/local/go
		COPY modules /usr/local/modules
		ENV PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin GOTOOLCHAIN=local
	EOF
	build --tag "$2" "$1"
	rm -r "$1"
}

# build is docker build with the proxies of the environment, if there are any.
build() {
	docker build --quiet --build-arg http_proxy --build-arg https_proxy --build-arg no_proxy "$@" >/dev/null
}
