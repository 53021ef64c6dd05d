#!/bin/bash
# Compares `imgbuild sanitize` with zerofree, which clears free blocks only, and
# with zerofree followed by `cp --sparse=always`, which gives the space back.
#
#   bench/sanitize.sh [rounds]
#
# Images: 2 GiB of ext4 with 60,000 files of real Debian packages, three of four
# deleted; and 100 GiB, sparse, with 1 GiB in use. Times are medians of all
# rounds (3), of the clock and of the processors. Then the tools that find what
# was deleted look at the result: fls, foremost and photorec must find nothing.
#
# Aims: at most 0.5 times zerofree's time on the first image, 0.05 on the second.
#
# Needs root (the images are filled through a loop mount, so that the journal
# holds what a kernel puts there) and the Debian packages zerofree, sleuthkit,
# foremost, testdisk and e2fsprogs; the files come from the machine's mirror.
#
#   PACKAGES=FOLDER  where packages are kept (default: out/bench/packages)
set -eu
cd "$(dirname "$0")/.."
. bench/lib.sh
rounds=${1:-3}
[ "$(id -u)" = 0 ] || { echo 'bench/sanitize.sh: run it as root' >&2; exit 8; }

make -s build
imgbuild=$PWD/bin/imgbuild
packages=${PACKAGES:-$PWD/out/bench/packages}
mkdir -p "$packages" "$dir/tree" "$dir/mnt"
for p in gnome-icon-theme oxygen-icon-theme faenza-icon-theme mate-icon-theme papirus-icon-theme moka-icon-theme \
	python3.11-doc openjdk-17-doc qtbase5-doc-html linux-doc-6.1 texlive-latex-recommended-doc texlive-pictures-doc; do
	ls "$packages/${p}_"*.deb >/dev/null 2>&1 || (cd "$packages" && apt-get download -q "$p")
	dpkg-deb -x "$packages/${p}_"*.deb "$dir/tree"
done
trap 'umount "$dir/mnt" 2>/dev/null || :; clean' EXIT

# fill IMAGE FILES MIB copies that many small files and large ones up to a sum,
# and deletes three of four.
fill() {
	find "$dir/tree" -type f -size -400k -printf '%P\n' | shuf --random-source=<(yes) | head -n "$2" >"$dir/list"
	find "$dir/tree" -type f -size +400k -printf '%s %P\n' | sort -k2 |
		awk -v left="$3" '{ left -= $1 / 1048576; if (left > 0) print substr($0, index($0, " ") + 1) }' >>"$dir/list"
	mke2fs -q -t ext4 "$1"
	mount -o loop "$1" "$dir/mnt"
	tar -C "$dir/tree" -cf - -T "$dir/list" | tar -C "$dir/mnt" -xf -
	sync -f "$dir/mnt"
	awk 'NR % 4' "$dir/list" | (cd "$dir/mnt" && tr '\n' '\0' | xargs -0 rm -f)
	umount "$dir/mnt"
}

# seconds NAME COMMAND... measures a command on a fresh copy of the image.
seconds() {
	to=$dir/times.$1
	shift
	rm -f "$dir/copy"* "$dir/result"
	cp --sparse=always "$image" "$dir/copy"
	sync -f "$dir"
	measure "$to" "$@"
}
zerofree_and_copy() { zerofree "$dir/copy" && cp --sparse=always "$dir/copy" "$dir/result"; }

compare() {
	rm -f "$dir"/times.*
	for _ in $(seq "$rounds"); do
		seconds zerofree zerofree "$dir/copy"
		seconds place "$imgbuild" sanitize --in-place "$dir/copy"
		seconds both zerofree_and_copy
		theirs=$(du -k "$dir/result" | cut -f1)
		seconds new "$imgbuild" sanitize -o "$dir/result" "$dir/copy"
		ours=$(du -k "$dir/result" | cut -f1)
	done
	row 'zerofree' zerofree zerofree
	row 'imgbuild sanitize --in-place' place zerofree
	row 'zerofree + cp --sparse=always' both both
	row 'imgbuild sanitize, a new image' new both
	printf '  %-34s %8d KiB, %d KiB, x%s\n' 'size on disk, ours and theirs' "$ours" "$theirs" "$(fine "$ours" "$theirs")"
}
fine() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / (b ? b : 0.01) }'; }
row() {
	t=$(median 1 "$dir/times.$2") c=$(median 2 "$dir/times.$2")
	printf '  %-34s %6.2f s  x%s   CPU %6.2f s  x%s\n' "$1" "$t" "$(fine "$t" "$(median 1 "$dir/times.$3")")" \
		"$c" "$(fine "$c" "$(median 2 "$dir/times.$3")")"
}

image=$dir/fragmented
truncate -s 2G "$image"
fill "$image" 60000 1000
echo '2 GiB, 60,000 files, three of four deleted:'
compare

"$imgbuild" sanitize -o "$dir/result" "$image" >/dev/null
e2fsck -fn "$dir/result" >/dev/null
blkls "$dir/result" >"$dir/free"
foremost -Q -t all -i "$dir/free" -o "$dir/carved" >/dev/null
(cd "$dir" && photorec /d "$dir/photorec" /cmd "$dir/free" partition_none,options,mode_ext2,fileopt,everything,enable,wholespace,search >/dev/null 2>&1) || :
# Names that live files say as well, as a part of theirs or in a text, do not
# count; nor do names of one character, which fls takes from index entries.
awk 'NR % 4 == 0' "$dir/list" | tar -C "$dir/tree" -cf "$dir/live" -T -
names=$(awk 'NR % 4' "$dir/list" | sed 's|.*/||' | sort -u | grep -E '.{12}' |
	shuf -n 200 --random-source=<(yes))
printf '  %-34s %s deleted names (fls -rd), %s files (foremost), %s files (photorec), %s of 200 names in the raw bytes\n' 'found in the result' \
	"$(fls -rd "$dir/result" | grep -cv '/.\?$')" "$(find "$dir/carved" -type f ! -name audit.txt | wc -l)" \
	"$(find "$dir"/photorec* -type f ! -name report.xml 2>/dev/null | wc -l)" \
	"$(grep -aoFf <(echo "$names") "$dir/result" | sort -u | while read -r name; do
		grep -aqF -- "$name" "$dir/live" || echo "$name"
	done | wc -l)"
rm -f "$dir/free" "$dir/live"

image=$dir/sparse
rm -f "$dir/fragmented" "$dir/result"
truncate -s 100G "$image"
fill "$image" 60000 600
echo '100 GiB, sparse, 1 GiB written:'
compare
