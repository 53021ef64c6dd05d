# Two commands matter to a newcomer: make demo and make test.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
INIT    := kernel/guest/bin/init
EPOCH   := 1980-01-01T00:00:02Z

.PHONY: build demo test test-short test-slow docker-test lint tools clean examples $(INIT) bin/imgbuild

build: bin/imgbuild

# The guest's init is part of imgbuild: it is compiled first, without paths,
# names or times, so that the same sources give the same bytes.
$(INIT):
	CGO_ENABLED=0 GOOS=linux GOARCH=amd64 $(GO) build -trimpath -ldflags "-s -w -buildid=" -o $@ ./kernel/init

bin/imgbuild: $(INIT)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $@ ./cmd/imgbuild

# The sample apps, compiled from the sources in this repository.
examples: examples/hello-jvm/build/hello.jar examples/go-static/build/server

examples/hello-jvm/build/hello.jar: $(shell find examples/hello-jvm/src -name '*.java')
	rm -rf examples/hello-jvm/build && mkdir -p examples/hello-jvm/build/classes
	javac --release 17 -d examples/hello-jvm/build/classes $^
	printf 'Main-Class: hello.Hello\n' > examples/hello-jvm/build/manifest
	jar --create --file $@ --manifest examples/hello-jvm/build/manifest --date $(EPOCH) -C examples/hello-jvm/build/classes .

examples/go-static/build/server: examples/go-static/main.go
	CGO_ENABLED=0 GOOS=linux GOARCH=amd64 $(GO) build -trimpath -ldflags "-s -w -buildid=" -o $@ ./examples/go-static
