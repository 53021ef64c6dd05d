package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// types are those that foremost knows of the files on the disk, and gz.
var types = []string{"png", "htm", "pdf", "jpg", "gif", "zip", "gz"}

// typeOf is the type by which a name is counted; "" when it is not.
func typeOf(name string) string {
	ext := strings.ToLower(strings.TrimPrefix(filepath.Ext(name), "."))
	switch ext {
	case "html", "xhtml":
		ext = "htm"
	case "jpeg":
		ext = "jpg"
	case "jar", "docx", "odt", "odg", "ods", "odp", "epub":
		ext = "zip"
	case "svgz":
		ext = "gz"
	}
	if slices.Contains(types, ext) {
		return ext
	}
	return ""
}

// hit is a file that a carver found.
type hit struct {
	typ string
	off int64
}

// score prints, for each type and carver, how many were found and how many of
// these begin in the first block of a deleted file of the type.
func score(truth string, results []string) error {
	text, err := os.ReadFile(truth)
	if err != nil {
		return err
	}
	real := map[hit]bool{}
	counts := map[string]int{}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		off, err := strconv.ParseInt(f[0], 10, 64)
		if err != nil {
			return err
		}
		if t := typeOf(f[2]); t != "" {
			real[hit{t, off}] = true
			counts[t]++
		}
	}
	fmt.Printf("%-12s %6s %8s %8s %8s %9s %7s\n", "carver", "type", "deleted", "found", "true", "precision", "recall")
	for _, r := range results {
		name, path, _ := strings.Cut(r, "=")
		hits, err := read(path)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, t := range types {
			found, right := 0, 0
			seen := map[hit]bool{}
			for _, h := range hits {
				if h.typ != t {
					continue
				}
				found++
				// Some begin at a tag behind the first line of a file.
				h.off -= h.off % blockSize
				if real[h] && !seen[h] {
					right++
					seen[h] = true
				}
			}
			fmt.Printf("%-12s %6s %8d %8d %8d %9s %7s\n", name, t, counts[t], found, right, share(right, found), share(right, counts[t]))
		}
	}
	return nil
}

func share(a, b int) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", 100*float64(a)/float64(b))
}

// read reads what a carver reported.
func read(path string) ([]hit, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	switch filepath.Ext(path) {
	case ".json":
		return readAudit(b)
	case ".xml":
		return readPhotorec(b)
	}
	return readForemost(string(b)), nil
}

func readAudit(b []byte) ([]hit, error) {
	var r struct {
		Findings []struct {
			Kind, Rule, Class, Confidence string
			Offset                        int64
		}
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, err
	}
	var hits []hit
	for _, f := range r.Findings {
		if f.Kind == "file" && f.Class != "live" && f.Confidence != "low" {
			hits = append(hits, hit{typeOf("x." + f.Rule), f.Offset})
		}
	}
	return hits, nil
}

// foremostLine is a file in audit.txt: number, name, size, offset.
var foremostLine = regexp.MustCompile(`^\d+:\s+\S+\.(\w+)\s+\d+ \w+\s+(\d+)`)

func readForemost(text string) []hit {
	var hits []hit
	for line := range strings.Lines(text) {
		if m := foremostLine.FindStringSubmatch(line); m != nil {
			off, _ := strconv.ParseInt(m[2], 10, 64)
			hits = append(hits, hit{typeOf("x." + m[1]), off})
		}
	}
	return hits
}

func readPhotorec(b []byte) ([]hit, error) {
	var r struct {
		Files []struct {
			Name string `xml:"filename"`
			Runs []struct {
				Off int64 `xml:"img_offset,attr"`
			} `xml:"byte_runs>byte_run"`
		} `xml:"fileobject"`
	}
	if err := xml.Unmarshal(b, &r); err != nil {
		return nil, err
	}
	var hits []hit
	for _, f := range r.Files {
		if len(f.Runs) > 0 {
			hits = append(hits, hit{typeOf(f.Name), f.Runs[0].Off})
		}
	}
	return hits, nil
}
