#!/bin/sh
# Builds the hello-jvm appliance, boots it, and shows what it answers.
set -eu
cd "$(dirname "$0")/.."

port=${PORT:-18080}
console=out/hello-jvm.console
bin/imgbuild build recipes/hello-jvm.yaml -o out --update-lock

bin/imgbuild run out/hello-jvm.qcow2 -p "$port:8080" >"$console" &
machine=$!
trap 'kill "$machine" 2>/dev/null || true' EXIT

for _ in $(seq 300); do
	kill -0 "$machine" || { tail -n 20 "$console"; exit 1; }
	if answer=$(curl -fs --max-time 5 "http://127.0.0.1:$port/"); then break; fi
	sleep 0.2
done
[ -n "${answer:-}" ] || { echo "no answer came; the console:"; tail -n 20 "$console"; exit 1; }

echo
ls -lhs out/hello-jvm.*
echo
echo "\$ curl http://127.0.0.1:$port/"
echo "$answer"
echo
kill -INT "$machine"
wait "$machine" || true
trap - EXIT
tail -n 4 "$console"
