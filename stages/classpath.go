package stages

import (
	"archive/zip"
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
)

// manifestLimit bounds how much of a jar's manifest is read, in bytes.
const manifestLimit = 1 << 20

// jarInfo is what a jar says of itself.
type jarInfo struct {
	Main      string
	ClassPath []string
}

// readJar checks that r is a jar and reads its manifest. name is for errors.
func readJar(name string, r io.ReaderAt, size int64) (jarInfo, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return jarInfo{}, fault.New(fault.Input, fmt.Errorf("%s is not a jar: %w", name, err),
			"a jar is a zip archive; was the file cut short, or is it another kind of file?")
	}
	f, err := z.Open("META-INF/MANIFEST.MF")
	if err != nil {
		return jarInfo{}, nil // a manifest is optional
	}
	defer f.Close()
	return parseManifest(io.LimitReader(f, manifestLimit))
}

// parseManifest reads the main section of a manifest. A line that begins with
// a space continues the one before it (JAR File Specification, "Notes on
// Manifest and Signature Files").
func parseManifest(r io.Reader) (jarInfo, error) {
	var info jarInfo
	headers := map[string]string{}
	last := ""
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, manifestLimit)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		if line == "" {
			break
		}
		if rest, ok := strings.CutPrefix(line, " "); ok {
			headers[last] += rest
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		last = strings.ToLower(key)
		headers[last] = strings.TrimPrefix(value, " ")
	}
	if err := lines.Err(); err != nil {
		return info, fmt.Errorf("reading the manifest: %w", err)
	}
	info.Main = strings.TrimSpace(headers["main-class"])
	info.ClassPath = strings.Fields(headers["class-path"])
	return info, nil
}

// hasClass reports whether the jar holds a class, given by its Java name.
func hasClass(r io.ReaderAt, size int64, class string) (bool, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return false, err
	}
	want := strings.ReplaceAll(class, ".", "/") + ".class"
	for _, f := range z.File {
		if f.Name == want {
			return true, nil
		}
	}
	return false, nil
}

// errNoMain explains that nothing says where to begin.
func errNoMain(jar string) error {
	return fault.New(fault.Input, fmt.Errorf("%s names no main class", jar),
		"set app.main to the class to start, or put Main-Class into the jar's manifest")
}

// classMatches reports whether a class matches a pattern of app.missing:
// "org.example.Name", or "org.example.*" for the package and all below it.
func classMatches(pattern, class string) bool {
	if prefix, ok := strings.CutSuffix(pattern, ".*"); ok {
		return strings.HasPrefix(class, prefix+".")
	}
	return pattern == class
}

// missingClasses reads what `jdeps --missing-deps` prints and returns the
// classes that are not found and not allowed to be missing, each with the
// first class that refers to it.
//
// The lines of interest look like
//
//	org.example.User                                   -> org.example.Gone          not found
func missingClasses(out string, allowed []string) (missing [][2]string) {
	seen := map[string]bool{}
	for line := range strings.Lines(out) {
		from, to, ok := strings.Cut(line, "->")
		if !ok || !strings.HasSuffix(strings.TrimSpace(to), "not found") {
			continue
		}
		class := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(to), "not found"))
		from = strings.TrimSpace(from)
		if class == "" || class == "not" || seen[class] || strings.HasSuffix(from, ".jar") {
			continue
		}
		seen[class] = true
		ok = false
		for _, p := range allowed {
			ok = ok || classMatches(p, class)
		}
		if !ok {
			missing = append(missing, [2]string{class, from})
		}
	}
	return missing
}

// errMissing makes one error of them.
func errMissing(missing [][2]string) error {
	const shown = 8
	var b strings.Builder
	fmt.Fprintf(&b, "the class path lacks %d classes that it refers to:", len(missing))
	for i, m := range missing {
		if i == shown {
			fmt.Fprintf(&b, "\n  and %d more", len(missing)-shown)
			break
		}
		fmt.Fprintf(&b, "\n  %s, needed by %s", m[0], m[1])
	}
	return fault.New(fault.Input, errors.New(b.String()),
		"add the jar that holds them to app.classPath",
		"or name those that are never used: app.missing: ["+strings.Join(packagesOf(missing), ", ")+"]")
}

// packagesOf returns the fewest patterns that match all missing classes by
// their packages, or the class itself when it is in none.
func packagesOf(missing [][2]string) []string {
	var all, fewest []string
	for _, m := range missing {
		if i := strings.LastIndexByte(m[0], '.'); i >= 0 {
			all = append(all, m[0][:i]+".*")
		} else {
			all = append(all, m[0])
		}
	}
	slices.Sort(all) // a package stands before those below it
	for _, p := range all {
		if n := len(fewest); n == 0 || (p != fewest[n-1] && !classMatches(fewest[n-1], p)) {
			fewest = append(fewest, p)
		}
	}
	return fewest
}
