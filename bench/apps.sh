#!/bin/bash
# Compares two machines with the same app, Tomcat or ZooKeeper: how soon they
# answer, and how many requests a second they serve after that. One is the
# appliance of the ready recipe, the other Debian 12 with the same Debian
# packages of the app and the same options of its JVM, but for the class
# archive, started by GRUB. Both log to their console, Debian through its journal;
# ZooKeeper does not log each request.
#
#   bench/apps.sh [ROUNDS] [APP...]      (default: 3 tomcat zookeeper)
#
# LOAD is for how long to ask (default: 20s, after as long that does not count).
# Tomcat is asked for a page that it compiles, on connections that are kept;
# ZooKeeper for "ruok", on a connection for each, for that is all that it says to
# programs without its protocol. Without KVM all is emulated, and the network is
# QEMU's own: what counts are the ratios.
set -eu
cd "$(dirname "$0")/.."
. bench/lib.sh
rounds=${1:-3}
[ $# = 0 ] || shift
[ $# -gt 0 ] || set -- tomcat zookeeper
load=${LOAD:-20s}

prepare
cp -r recipes/tomcat recipes/tomcat.yaml recipes/zookeeper.yaml "$dir/recipes/"
go build -o "$dir/boot" ./bench/boot
declare -A packages=(
	[tomcat]=libtomcat10-java,tomcat10-common,tomcat10
	[zookeeper]=libzookeeper-java,libdropwizard-metrics-java,libslf4j-java,libsnappy-java
)
declare -A ask=(
	[tomcat]='-port 8080 -path /hello.jsp -ready Server.startup.in'
	[zookeeper]='-port 2181 -send ruok -expect imok -ready binding.to.port'
)
declare -A settings=(
	[tomcat]=
	[zookeeper]=--set=runtime.jvm.options=[-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper.server.NIOServerCnxn=warn]
)
for app in "$@"; do
	recipe=$dir/recipes/$app.yaml
	# shellcheck disable=SC2086 # a word, or none
	build "$dir/$app" --update-lock --set 'outputs=[raw, oci]' ${settings[$app]}
	# The command of the appliance, in words of systemd.
	layout=$dir/$app/$app.oci
	[ -d "$layout" ] || { mkdir "$dir/$app/oci" && tar -xf "$layout"* -C "$dir/$app/oci" && layout=$dir/$app/oci; }
	blob() { cat "$layout/blobs/sha256/${1#sha256:}"; }
	manifest=$(blob "$(jq -r '.manifests[0].digest' "$layout/index.json")")
	command=$(blob "$(echo "$manifest" | jq -r .config.digest)" | jq -r '(.config.Entrypoint + .config.Cmd)
		| .[0] = "/usr/bin/java" | map(select(test("^-Xshare|SharedArchiveFile") | not)) | join(" ")')
	debian=${DEBIANS:-out/bench}/debian-$app
	if [ ! -e "$debian/cmdline" ]; then
		mkdir -p "$dir/tree/etc/systemd/system" "$dir/tree/srv/tomcat/webapps" "$dir/tree/srv/tomcat/work" "$dir/tree/etc/zookeeper"
		ln -sf /dev/null "$dir/tree/etc/systemd/system/tomcat10.service"
		cp -r recipes/tomcat/conf "$dir/tree/srv/tomcat/"
		cp -r recipes/tomcat/webapp "$dir/tree/srv/tomcat/webapps/ROOT"
		ln -sf /usr/share/tomcat10/etc/web.xml "$dir/tree/srv/tomcat/conf/web.xml"
		sed -n '/content: |/,/^[^ ]/ s/^      //p' recipes/zookeeper.yaml >"$dir/tree/etc/zookeeper/zoo.cfg"
		PACKAGES=${packages[$app]} TREE=$dir/tree COMMAND=$command bench/debian-image.sh examples/hello-jvm/build/hello.jar "$debian"
	fi
	# shellcheck disable=SC2086 # words
	"$dir/boot" -rounds "$rounds" -timeout 12m -memory 512 -cpus 1 -load "$load" -warm "$load" ${ask[$app]} \
		-disk "$debian/debian.raw" "bios:$dir/$app/$app.raw"
done
