package carve_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/sanitize/audit/carve"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// made are files that programs of others write, by the name that carving gives
// them. OUT is the file; a shell runs the command in an empty folder.
var made = []struct {
	want, pkg, program, command string
	// loose is set where the format does not tell its end.
	loose bool
}{
	{"bmp", "ffmpeg", "ffmpeg", video + "-frames:v 1 OUT.bmp", false},
	{"tif", "ffmpeg", "ffmpeg", video + "-frames:v 1 OUT.tiff", false},
	{"avi", "ffmpeg", "ffmpeg", video + "-c:v mpeg4 OUT.avi", false},
	{"mpg", "ffmpeg", "ffmpeg", video + "-c:v mpeg2video OUT.mpg", false},
	{"wmv", "ffmpeg", "ffmpeg", video + "-c:v wmv2 -f asf OUT", true},
	{"mov", "ffmpeg", "ffmpeg", video + "-c:v mpeg4 OUT.mov", false},
	{"mp4", "ffmpeg", "ffmpeg", video + "-c:v mpeg4 OUT.mp4", false},
	{"mkv", "ffmpeg", "ffmpeg", video + "-c:v mpeg4 OUT.mkv", false},
	{"flv", "ffmpeg", "ffmpeg", video + "-c:v flv1 OUT.flv", false},
	{"wav", "ffmpeg", "ffmpeg", sound + "OUT.wav", false},
	{"mp3", "ffmpeg", "ffmpeg", sound + "-c:a libmp3lame OUT.mp3", true},
	{"ogg", "ffmpeg", "ffmpeg", sound + "-c:a flac OUT.ogg", false},
	{"flac", "ffmpeg", "ffmpeg", sound + "OUT.flac", true},
	{"7z", "p7zip-full", "7z", "echo text >a && 7z a OUT.7z a >log", false},
	{"zip", "zip", "zip", "echo text >a && zip -q OUT.zip a", false},
	{"bz2", "bzip2", "bzip2", "seq 3000 | bzip2 >OUT", false},
	{"tar", "tar", "tar", "seq 3000 >a && tar -cf OUT a", true},
	{"ar", "binutils", "ar", "seq 3000 >a && ar rc OUT.a a", false},
	{"sqlite", "sqlite3", "sqlite3", "sqlite3 OUT 'create table t(a); insert into t values(1)'", false},
	{"class", "openjdk-17-jdk-headless", "javac", "echo 'class A { int x = 7; }' >A.java && javac A.java && mv A.class OUT", false},
	{"jks", "openjdk-17-jdk-headless", "keytool", keytool + "-storetype JKS -keystore OUT 2>log", false},
	{"p12", "openjdk-17-jdk-headless", "keytool", keytool + "-storetype PKCS12 -keystore OUT", false},
	{"key", "openssh-client", "ssh-keygen", "ssh-keygen -q -t ed25519 -N '' -f OUT", false},
	{"ssh-pub", "openssh-client", "ssh-keygen", "ssh-keygen -q -t rsa -N '' -f x && mv x.pub OUT", true},
	{"ext", "e2fsprogs", "mke2fs", "mke2fs -q OUT 4m && dd if=OUT of=x bs=1024 skip=1 count=1 status=none && mv x OUT", true},
	{"xfs", "xfsprogs", "mkfs.xfs", "truncate -s 320m OUT && mkfs.xfs -q OUT && truncate -s 4096 OUT", true},
	{"ntfs", "ntfs-3g", "mkfs.ntfs", "truncate -s 8m OUT && mkfs.ntfs -q -F OUT >log 2>&1 && truncate -s 4096 OUT", true},
}

const (
	video   = "ffmpeg -v error -f lavfi -i testsrc=duration=1:size=64x48:rate=25 "
	sound   = "ffmpeg -v error -f lavfi -i sine=duration=1 "
	keytool = "keytool -genkeypair -keyalg RSA -alias a -dname CN=x -storepass changeit -keypass changeit "
)

// TestMadeByPrograms measures what programs wrote, between other bytes, whole
// and cut off in the middle.
func TestMadeByPrograms(t *testing.T) {
	for _, c := range made {
		t.Run(c.want, func(t *testing.T) {
			if testing.Short() {
				t.Skip("it runs a program for each type")
			}
			fstest.Need(t, c.pkg, c.program)
			dir := t.TempDir()
			fstest.Program(t, "sh", "-ec", "cd "+dir+"; "+strings.ReplaceAll(c.command, "OUT", "out"))
			list, err := filepath.Glob(filepath.Join(dir, "out*"))
			if err != nil || len(list) == 0 {
				t.Fatalf("nothing was written: %v", err)
			}
			content, err := os.ReadFile(list[0])
			if err != nil {
				t.Fatal(err)
			}
			around := bytes.Repeat([]byte{0xa7, 0x00}, 4096)
			name, f, ok := measure(append(append(bytes.Clone(around), content...), around...), int64(len(around)))
			if !ok || name != c.want || f.Confidence < carve.Medium || !c.loose && f.Size != int64(len(content)) {
				t.Errorf("%s of %d bytes is taken for %s: %+v", c.want, len(content), name, f)
			}
			half := append(bytes.Clone(content[:len(content)/2]), around...)
			if _, f, ok := measure(half, 0); ok && f.Size > int64(len(half)) {
				t.Errorf("half of %s has %d bytes of %d", c.want, f.Size, len(half))
			}
		})
	}
}
