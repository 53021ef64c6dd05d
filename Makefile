# Two commands matter to a newcomer: make demo and make test.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
INIT    := kernel/guest/bin/init
EPOCH   := 1980-01-01T00:00:02Z
SUDO    := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# What a build of an appliance runs, and what a test of imgbuild runs besides.
BUILD_PACKAGES := build-essential bc bison flex libelf-dev libssl-dev dwarves kmod cpio rsync ccache \
	openjdk-17-jdk-headless erofs-utils squashfs-tools e2fsprogs dosfstools mtools syslinux \
	fakeroot bubblewrap util-linux binutils xz-utils zstd xorriso qemu-system-x86 qemu-system-data seabios ovmf curl
TEST_PACKAGES := systemd-boot-efi qemu-utils gdisk fdisk foremost zerofree xfsprogs btrfs-progs attr ntfs-3g fuse3 exfatprogs exfat-fuse proot skopeo docker-registry \
	libxml2-utils nbdkit netcat-openbsd gnupg dpkg-dev iproute2 udhcpd dnsmasq-base lz4 jq git \
	linux-source-6.1 linux-source-6.12 python3-kazoo chromium syslinux-common grub-common rpm rpm2cpio \
	testdisk sleuthkit xxhash lvm2 genisoimage grub-pc-bin libvirt-clients vagrant virt-v2v sqlite3 \
	ffmpeg p7zip-full openssl zip bzip2 openssh-client

# Any other Docker daemon will do as well.
DOCKER_PACKAGES := $(if $(shell PATH=$$PATH:/usr/sbin command -v dockerd),,docker.io) iptables slirp4netns mmdebstrap curl

# The race detector looks at imgbuild and at what it is made of, but for the
# compressors: under it they take ten times as long, in a third of all tests.
COMPRESSORS := compress/flate github.com/klauspost/compress/... github.com/pierrec/lz4/v4/... github.com/ulikunitz/xz/... github.com/xi2/xz
RACE := -race $(COMPRESSORS:%=-gcflags=%=-race=false)

# The tests that test-slow runs; it sets IMGBUILD_TEST_SLOW=1 for them.
SLOW := TestPowerCuts|TestXen|TestLarge|TestBalloon

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
GOTESTSUM   := gotest.tools/gotestsum@v1.13.0

.PHONY: build demo test test-slow test-short docker-test lint tools tools-build clean examples $(INIT) bin/imgbuild

build: bin/imgbuild

# The guest's init is part of imgbuild: it is compiled first, without paths,
# names or times, so that the same sources give the same bytes.
$(INIT):
	CGO_ENABLED=0 GOOS=linux GOARCH=amd64 $(GO) build -trimpath -buildvcs=false -ldflags "-s -w -buildid=" -o $@ ./kernel/init

bin/imgbuild: $(INIT)
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION)" -o $@ ./cmd/imgbuild

# The sample apps, compiled from the sources in this repository.
examples: examples/hello-jvm/build/hello.jar examples/go-static/build/server

examples/hello-jvm/build/hello.jar: $(shell find examples/hello-jvm/src -name '*.java')
	rm -rf examples/hello-jvm/build && mkdir -p examples/hello-jvm/build/classes
	javac --release 17 -d examples/hello-jvm/build/classes $^
	printf 'Main-Class: hello.Hello\n' > examples/hello-jvm/build/manifest
	jar --create --file $@ --manifest examples/hello-jvm/build/manifest --date $(EPOCH) -C examples/hello-jvm/build/classes .

examples/go-static/build/server: examples/go-static/main.go
	CGO_ENABLED=0 GOOS=linux GOARCH=amd64 $(GO) build -trimpath -buildvcs=false -ldflags "-s -w -buildid=" -o $@ ./examples/go-static

# From nothing to the answer of an appliance.
demo: tools-build build examples
	examples/demo.sh

# Everything: the linters, every unit with the race detector, and appliances
# that are built and booted. The kernel is built once and kept in the cache.
test: tools lint examples build
	@mkdir -p out && test/prepare.sh out/test > out/test.env
	env $$(cat out/test.env) $(GO) run $(GOTESTSUM) --format pkgname-and-test-fails --junitfile out/test.xml -- $(RACE) -timeout 60m ./...

# What takes minutes under emulation and is too long for every change.
test-slow: tools examples build
	@mkdir -p out && test/prepare.sh out/test > out/test.env
	env $$(cat out/test.env) IMGBUILD_TEST_SLOW=1 $(GO) test -timeout 120m -v -run '$(SLOW)' ./kernel/init ./vm ./disk/packed ./cmd/imgbuild

test-short: $(INIT)
	$(GO) test -short ./...

# The Dockerfile, with a Docker daemon of its own: docs/docker.md.
docker-test: build examples
	@$(call install,$(DOCKER_PACKAGES))
	$(SUDO) env "PATH=$$PATH:/usr/sbin:/sbin" "IMGBUILD_CACHE=$$IMGBUILD_CACHE" test/docker/test.sh

# govulncheck asks a database on the network: where that cannot be reached the
# check is left out, and says so.
lint: $(INIT)
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "gofmt: $$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	@mkdir -p out; if $(GO) run $(GOVULNCHECK) ./... > out/vuln.txt 2>&1; then tail -1 out/vuln.txt; \
	elif grep -q 'Vulnerability #' out/vuln.txt; then cat out/vuln.txt; exit 1; \
	else echo "lint: govulncheck was left out: $$(head -1 out/vuln.txt)"; fi

tools-build: ; @$(call install,$(BUILD_PACKAGES))
tools: ; @$(call install,$(BUILD_PACKAGES) $(TEST_PACKAGES))

# install gets the packages that are missing from the machine's own sources.
define install
need=; for p in $(1); do \
	dpkg-query -W -f '$${Status}\n' $$p 2>/dev/null | grep -q 'ok installed' || need="$$need $$p"; done; \
if [ -n "$$need" ]; then echo "installing$$need"; $(SUDO) apt-get update -q && \
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$need; fi
endef

clean:
	rm -rf bin out $(INIT) examples/*/build
