# An image that builds appliances; docs/docker.md says how to use it.
#
#   docker build -t imgbuild .
#   docker run --rm -v "$PWD:/work" imgbuild build recipes/hello-jvm.yaml
#
# The bases may be pinned by digest, or replaced by others of Debian 12:
#   docker build --build-arg BASE=debian:bookworm-slim@sha256:... .
ARG GO_IMAGE=golang:1.26-bookworm
ARG BASE=debian:bookworm-slim

FROM ${GO_IMAGE} AS build
ARG GOPROXY
ARG GOFLAGS
ARG VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN make bin/imgbuild VERSION="$VERSION"

FROM ${BASE}
# What stages/tools.go and kernel/tools.go name, in the order of the build:
# packages and the sandbox, the kernel, the file systems.
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ca-certificates xz-utils bubblewrap proot util-linux \
      bc binutils bison flex gcc libc6-dev libelf-dev make perl tar zstd \
      dosfstools e2fsprogs erofs-utils fakeroot mtools squashfs-tools syslinux \
 && rm -rf /var/lib/apt/lists/*

# The first user of most machines has the number 1000, so that files in a
# mounted folder belong to the right one. Any other works too: --user. Hence
# the folders that everyone may write to.
RUN useradd --uid 1000 --create-home imgbuild \
 && mkdir /cache /work \
 && chmod 1777 /cache /work /home/imgbuild
COPY --from=build /src/bin/imgbuild /usr/local/bin/imgbuild
ENV HOME=/home/imgbuild IMGBUILD_CACHE_DIR=/cache
USER 1000:1000
WORKDIR /work
VOLUME /cache
ENTRYPOINT ["imgbuild"]
CMD ["--help"]
