#!/bin/sh
# debian-image.sh APP.JAR FOLDER [PORT]
#
# Makes the image that an appliance is compared with: Debian 12 with systemd, a
# JRE and the app as its one unit, without anything that a comparison could be
# accused of: no cloud-init, no sshd, and no waiting in GRUB's menu. In FOLDER:
# debian.raw (GRUB for BIOS in the gap before the first partition, GRUB for UEFI
# in that partition, an ext4 root in the second), vmlinuz, initrd.img, and the
# file cmdline.
#
# The root is named by its partition, so that the bus of the disk may be any that
# the kernel has. Another app than a jar: COMMAND is how it is started, PACKAGES
# are more to install, separated by commas, and TREE is a folder to copy to /.
#
# Needs mmdebstrap, e2fsprogs, mtools, dosfstools, fdisk, grub-pc-bin,
# grub-efi-amd64-bin and fakeroot (unless run by root). The packages come from
# the apt sources of this machine: the file named by SOURCES.
set -eu

jar=$1 out=$2 port=${3:-8080}
suite=${SUITE:-bookworm}
size=${SIZE:-1536M}
command=${COMMAND:-/usr/bin/java -jar /opt/app.jar $port}
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
ExecStart=$command
StandardOutput=journal+console
[Install]
WantedBy=multi-user.target
UNIT
printf 'auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet dhcp\n' >"$work/interfaces"
label=696d6762 # of the disk
printf 'PARTUUID=%s-02 / ext4 defaults 0 0\n' "$label" >"$work/fstab"
# As the installer writes it; without, the app would wait for a name server
# that knows the name of this host.
printf '127.0.0.1\tlocalhost\n127.0.1.1\tdebian\n' >"$work/hosts"
cp "$jar" "$work/app.jar"
mkdir "$work/tree"
[ -z "${TREE:-}" ] || cp -r "$TREE/." "$work/tree/"

mmdebstrap --quiet --variant=minbase \
	--include=systemd,systemd-sysv,udev,dbus,iproute2,ifupdown,isc-dhcp-client,netbase,ca-certificates,openjdk-17-jre-headless \
	--include="linux-image-cloud-amd64,initramfs-tools,zstd${PACKAGES:+,$PACKAGES}" \
	--customize-hook="sync-in $work/tree /" \
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
# The first partition begins at 1 MiB, the root behind it.
esp=16 # MiB
start=$((1 + esp))
cmdline="root=PARTUUID=$label-02 rw net.ifnames=0 console=ttyS0 quiet"
mkdir "$work/root"
truncate -s "$size" "$work/root.img"
$fake sh -eu -c '
	tar -xf "$1/root.tar" -C "$1/root" --numeric-owner
	kernel=$(cd "$1/root/boot" && echo vmlinuz-*) initrd=$(cd "$1/root/boot" && echo initrd.img-*)
	cp "$1/root/boot/$kernel" "$2/vmlinuz"
	cp "$1/root/boot/$initrd" "$2/initrd.img"
	mkdir "$1/root/boot/grub"
	printf "linux /boot/%s %s\ninitrd /boot/%s\nboot\n" "$kernel" "$3" "$initrd" >"$1/root/boot/grub/grub.cfg"
	mke2fs -q -t ext4 -F -d "$1/root" "$1/root.img"
	find "$1/root" -type f | wc -l >"$2/files"
' sh "$work" "$out" "$cmdline"

# GRUB finds its core where its boot sector looks by default: in the sectors
# right behind it, before the first partition.
printf 'set root=(hd0,msdos2)\nset prefix=(hd0,msdos2)/boot/grub\nconfigfile (hd0,msdos2)/boot/grub/grub.cfg\n' >"$work/early.cfg"
grub() { grub-mkimage -O "$1" -o "$2" -c "$work/early.cfg" -p '(hd0,msdos2)/boot/grub' part_msdos ext2 normal configfile linux boot "$3"; }
grub i386-pc "$work/core.img" biosdisk
grub x86_64-efi "$work/bootx64.efi" fat
truncate -s "${esp}M" "$work/esp.img"
mkfs.fat "$work/esp.img" >/dev/null
mmd -i "$work/esp.img" ::/EFI ::/EFI/BOOT
mcopy -i "$work/esp.img" "$work/bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI

rm -f "$out/debian.raw"
truncate -s "$(($(stat -c %s "$work/root.img") + (start + 1) * 1048576))" "$out/debian.raw"
printf 'label: dos\nlabel-id: 0x%s\nstart=1MiB, size=%dMiB, type=ef\nstart=%dMiB, type=83, bootable\n' "$label" "$esp" "$start" | sfdisk --quiet "$out/debian.raw"
put() { dd if="$1" of="$out/debian.raw" bs="$2" seek="$3" conv=notrunc,sparse status=none; }
dd if=/usr/lib/grub/i386-pc/boot.img of="$out/debian.raw" bs=440 count=1 conv=notrunc status=none
put "$work/core.img" 512 1
put "$work/esp.img" 1M 1
put "$work/root.img" 1M "$start"
echo "$cmdline" >"$out/cmdline"
