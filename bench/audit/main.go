// Command audit makes the disk for bench/audit.sh, with the truth about what
// was deleted on it, and scores what carvers found by that truth.
//
//	audit make TREE IMAGE DEAD TRUTH   an ext4 from TREE, three of four files
//	                                   deleted; its free blocks alone; a list
//	audit score TRUTH NAME=RESULT...   a table of recall and precision
//
// A result is what `imgbuild audit --json` printed, the audit.txt of foremost,
// or the report.xml of photorec.
package main

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
)

const (
	imageSize = "2048m"
	blockSize = 4096
)

func main() {
	var err error
	switch args := os.Args[1:]; {
	case len(args) == 5 && args[0] == "make":
		err = makeDisk(args[1], args[2], args[3], args[4])
	case len(args) > 2 && args[0] == "score":
		err = score(args[1], args[2:])
	default:
		err = fmt.Errorf("usage: audit make TREE IMAGE DEAD TRUTH | audit score TRUTH NAME=RESULT [NAME=RESULT]")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "audit:", err)
		os.Exit(1)
	}
}

// makeDisk writes the disk, its free blocks and the truth.
func makeDisk(tree, image, dead, truth string) error {
	if out, err := exec.Command("mke2fs", "-q", "-t", "ext4", "-b", strconv.Itoa(blockSize), "-N", "262144", "-d", tree, image, imageSize).CombinedOutput(); err != nil {
		return fmt.Errorf("mke2fs: %w: %s", err, out)
	}
	var files []string
	err := filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !strings.ContainsAny(path, "\" \n") {
			files = append(files, strings.TrimPrefix(path, tree))
		}
		return err
	})
	if err != nil {
		return err
	}
	var gone []string
	for i, f := range files {
		if i%4 != 0 {
			gone = append(gone, f)
		}
	}
	if err := writeTruth(image, truth, tree, gone); err != nil {
		return err
	}
	if _, err := debugfs(image, "rm", gone); err != nil {
		return err
	}
	fmt.Printf("%d files, %d deleted\n", len(files), len(gone))
	return copyFree(image, dead)
}

// debugfs runs one command for each file and returns what it said.
func debugfs(image, command string, files []string) (string, error) {
	var script strings.Builder
	for _, f := range files {
		fmt.Fprintf(&script, "%s %s\n", command, f)
	}
	cmd := exec.Command("debugfs", "-w", "-f", "/dev/stdin", image)
	cmd.Stdin = strings.NewReader(script.String())
	out, err := cmd.Output()
	return string(out), err
}

// writeTruth lists offset, size and name of each file.
func writeTruth(image, truth, tree string, files []string) error {
	out, err := debugfs(image, "blocks", files)
	if err != nil {
		return err
	}
	f, err := os.Create(truth)
	if err != nil {
		return err
	}
	defer f.Close()
	name := ""
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, "debugfs: blocks "); ok {
			name = strings.TrimSpace(rest)
			continue
		}
		first, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		block, err := strconv.ParseInt(first, 10, 64)
		if err != nil || name == "" {
			continue
		}
		info, err := os.Stat(tree + name)
		if err != nil {
			return err
		}
		fmt.Fprintf(f, "%d\t%d\t%s\n", block*blockSize, info.Size(), name)
		name = ""
	}
	return f.Close()
}

var freeRange = regexp.MustCompile(`(\d+)(?:-(\d+))?`)

// copyFree writes a disk that has the free blocks of image and nothing else.
func copyFree(image, dead string) error {
	out, err := exec.Command("dumpe2fs", image).Output()
	if err != nil {
		return err
	}
	src, err := disk.OpenFile(image)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := disk.CreateFile(dead, src.Size())
	if err != nil {
		return err
	}
	defer dst.Close()
	buf := make([]byte, blockSize)
	lines := bufio.NewScanner(strings.NewReader(string(out)))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		list, ok := strings.CutPrefix(lines.Text(), "  Free blocks: ")
		if !ok {
			continue
		}
		for _, m := range freeRange.FindAllStringSubmatch(list, -1) {
			first, _ := strconv.ParseInt(m[1], 10, 64)
			last, err := strconv.ParseInt(m[2], 10, 64)
			if err != nil {
				last = first
			}
			for b := first; b <= last; b++ {
				if _, err := src.ReadAt(buf, b*blockSize); err != nil {
					return err
				}
				if disk.IsZero(buf) {
					continue
				}
				if _, err := dst.WriteAt(buf, b*blockSize); err != nil {
					return err
				}
			}
		}
	}
	return lines.Err()
}
