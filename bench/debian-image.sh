#!/bin/sh
# debian-image.sh APP.JAR FOLDER [PORT]
#
# Makes the image that an appliance is compared with: Debian 12 with systemd, a
# JRE and the app as its one unit, without anything that a comparison could be
# accused of: no cloud-init, no sshd. In FOLDER: debian.raw (one ext4
# filesystem, no partition table), vmlinuz, initrd.img, and the file cmdline.
#
# Needs mmdebstrap, e2fsprogs and fakeroot (unless run by root). The packages
# come from the apt sources of this machine: the file named by SOURCES.
set -eu

jar=$1 out=$2 port=${3:-8080}
suite=${SUITE:-bookworm}
size=${SIZE:-1536M}
sources=${SOURCES:-/etc/apt/sources.list.d/debian.sources}
[ -e "$sources" ] || sources=/etc/apt/sources.list

mkdir -p "$out"
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

cat >"$work/app.service" <<UNIT
[Unit]
Description=the app
Wants=network-online.target
After=network-online.target
[Service]
ExecStart=/usr/bin/java -jar /opt/app.jar $port
StandardOutput=journal+console
[Install]
WantedBy=multi-user.target
UNIT
printf 'auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet dhcp\n' >"$work/interfaces"
printf '/dev/vda / ext4 defaults 0 0\n' >"$work/fstab"
# As the installer writes it; without, the app would wait for a name server
# that knows the name of this host.
printf '127.0.0.1\tlocalhost\n127.0.1.1\tdebian\n' >"$work/hosts"
cp "$jar" "$work/app.jar"

mmdebstrap --quiet --variant=minbase \
	--include=systemd,systemd-sysv,udev,dbus,iproute2,ifupdown,isc-dhcp-client,netbase,ca-certificates,openjdk-17-jre-headless \
	--include=linux-image-cloud-amd64,initramfs-tools,zstd \
	--customize-hook="upload $work/app.jar /opt/app.jar" \
	--customize-hook="upload $work/app.service /etc/systemd/system/app.service" \
	--customize-hook="upload $work/interfaces /etc/network/interfaces" \
	--customize-hook="upload $work/fstab /etc/fstab" \
	--customize-hook="upload $work/hosts /etc/hosts" \
	--customize-hook='echo debian >"$1/etc/hostname"' \
	--customize-hook='chroot "$1" systemctl enable --quiet app.service' \
	"$suite" "$work/root.tar" "$sources"

fake=
[ "$(id -u)" = 0 ] || fake=fakeroot
mkdir "$work/root"
truncate -s "$size" "$out/debian.raw"
$fake sh -eu -c '
	tar -xf "$1/root.tar" -C "$1/root" --numeric-owner
	cp "$1"/root/boot/vmlinuz-* "$2/vmlinuz"
	cp "$1"/root/boot/initrd.img-* "$2/initrd.img"
	mke2fs -q -t ext4 -F -d "$1/root" "$2/debian.raw"
	find "$1/root" -type f | wc -l >"$2/files"
' sh "$work" "$out"
echo 'root=/dev/vda rw net.ifnames=0 console=ttyS0 quiet' >"$out/cmdline"
