#!/bin/bash
# Audit beside foremost and photorec: a 2 GiB ext4 with the icons, pages and
# documents of Debian packages, three of four files deleted. What each finds in
# the free blocks is held to the truth; the times are those of the whole disk.
#
#   DEBS=FOLDER   the packages (default: out/bench/debs, fetched when missing)
#   KEEP=1        keep the scratch folder
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=bench/lib.sh
. bench/lib.sh

packages="faenza-icon-theme gnome-icon-theme mate-icon-theme moka-icon-theme oxygen-icon-theme papirus-icon-theme
	linux-doc-6.1 openjdk-17-doc python3.11-doc qtbase5-doc-html texlive-latex-recommended-doc"
debs=$(realpath -m "${DEBS:-out/bench/debs}")
for p in $packages; do
	ls "$debs/$p"_*.deb >/dev/null 2>&1 || { mkdir -p "$debs"; (cd "$debs" && apt-get download -q "$p"); }
done
make -s build
go build -o "$dir/bench" ./bench/audit
mkdir "$dir/tree"
for p in $packages; do dpkg-deb --fsys-tarfile "$debs/$p"_*.deb | tar -x -C "$dir/tree" --no-same-owner; done
"$dir/bench" make "$dir/tree" "$dir/disk.img" "$dir/dead.img" "$dir/truth"
rm -rf "$dir/tree"

# foremost and photorec write what they find; audit is timed writing nothing,
# as it runs by default, and writing it all.
cat "$dir/disk.img" >/dev/null
runs=${RUNS:-1}
for _ in $(seq "$runs"); do
	measure "$dir/t.audit" bin/imgbuild audit --policy none "$dir/disk.img"
	rm -rf "$dir/x"
	measure "$dir/t.extract" bin/imgbuild audit --policy none --extract "$dir/x" --extract-bytes 9999999999 --extract-files 999999 "$dir/disk.img"
	rm -rf "$dir/x" "$dir/f"
	measure "$dir/t.foremost" foremost -Q -t all -i "$dir/disk.img" -o "$dir/f"
	rm -rf "$dir/f" "$dir"/p.*
	measure "$dir/t.photorec" photorec /d "$dir/p" /cmd "$dir/disk.img" partition_none,options,mode_ext2,fileopt,everything,enable,wholespace,search
	rm -rf "$dir"/p.*
done
echo "seconds, median of $runs, whole disk of 2 GiB:"
for t in audit extract foremost photorec; do
	printf '  %-10s %8s  cpu %8s  %sx\n' "$t" "$(median 1 "$dir/t.$t")" "$(median 2 "$dir/t.$t")" "$(ratio "$(median 1 "$dir/t.$t")" "$(median 1 "$dir/t.audit")")"
done

echo
bin/imgbuild audit --policy none --max-findings 1000000 --json "$dir/disk.img" >"$dir/audit.json"
foremost -Q -t all -i "$dir/dead.img" -o "$dir/f" >/dev/null 2>&1
photorec /d "$dir/p" /cmd "$dir/dead.img" partition_none,options,mode_ext2,fileopt,everything,enable,wholespace,search >/dev/null 2>&1
"$dir/bench" score "$dir/truth" "imgbuild=$dir/audit.json" "foremost=$dir/f/audit.txt" "photorec=$(ls "$dir"/p.*/report.xml | head -1)"

echo
bin/imgbuild sanitize --in-place "$dir/disk.img" >/dev/null
echo "after sanitize: $(bin/imgbuild audit --policy none --json "$dir/disk.img" | jq '[.sums[].recoverable] | add // 0') findings in dead space"
