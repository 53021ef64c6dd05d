package ovf

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxManifest bounds a manifest, in bytes.
const maxManifest = 1 << 20

// What a manifest says of a package.
const (
	// NoManifest means that nothing says what the files should be.
	NoManifest = "none"
	// Valid means that every file is what the manifest says.
	Valid = "valid"
	// Broken means that an importer should refuse the package.
	Broken = "broken"
)

// Verdict is the result of comparing a package with its manifest.
type Verdict struct {
	// State is [NoManifest], [Valid] or [Broken].
	State string `json:"state"`
	// Algorithm is that of the digests, as manifests write it: "SHA256".
	Algorithm string `json:"algorithm,omitempty"`
	// Signed means that there is a file with a signature of the manifest;
	// Signature is by whom, if the file tells. A wrong signature is among the
	// problems.
	Signed    bool       `json:"signed"`
	Signature *Signature `json:"signature,omitempty"`
	// Problems say what is wrong with a broken package.
	Problems []string `json:"problems,omitempty"`
}

func (v *Verdict) problem(format string, args ...any) {
	v.State = Broken
	const most = 100
	if len(v.Problems) < most {
		v.Problems = append(v.Problems, fmt.Sprintf(format, args...))
	}
}

// Verify digests the files of the package and compares them with its manifest
// (DSP0243 section 5.1), and the manifest with its signature. The error is for what could not be read at all.
func (p *Package) Verify(ctx context.Context) (Verdict, error) {
	v := Verdict{State: Valid}
	name, text, err := p.ReadManifest()
	if err != nil {
		return v, err
	}
	if name == "" {
		return Verdict{State: NoManifest}, nil
	}
	if err := p.verifySignature(&v, name, text); err != nil {
		return v, err
	}
	covered := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		algorithm, file, sum, ok := manifestEntry(line)
		if !ok {
			v.problem("%.100q is no line of a manifest", line)
			continue
		}
		if covered[file] {
			v.problem("%s is listed twice", file)
			continue
		}
		covered[file] = true
		v.Algorithm = algorithm
		if err := p.verifyFile(ctx, &v, algorithm, file, sum); err != nil {
			return v, err
		}
	}
	for _, f := range append([]File{{Name: p.Descriptor}}, p.Files...) {
		if !slices.ContainsFunc(spellings(f.Name), func(s string) bool { return covered[s] }) {
			v.problem("%s is not listed", f.Name)
		}
	}
	return v, nil
}

// manifestEntry splits "SHA256(file)= digest". Blanks around the brackets are
// let pass, though some importers take them ill.
func manifestEntry(line string) (algorithm, file, sum string, ok bool) {
	name, rest, ok1 := strings.Cut(line, "(")
	end := strings.LastIndex(rest, ")")
	if !ok1 || end < 0 {
		return "", "", "", false
	}
	sum, ok = strings.CutPrefix(strings.TrimSpace(rest[end+1:]), "=")
	return strings.ToUpper(strings.TrimSpace(name)), rest[:end], strings.ToLower(strings.TrimSpace(sum)), ok
}

func (p *Package) verifyFile(ctx context.Context, v *Verdict, algorithm, file, want string) error {
	h, ok := hashes()[strings.ToLower(algorithm)]
	if !ok {
		v.problem("%s: the digest %s is not known", file, algorithm)
		return nil
	}
	r, n, err := p.files.open(file)
	if err != nil {
		v.problem("%s: %v", file, err)
		return nil
	}
	digest := h.New()
	section := io.NewSectionReader(r, 0, n)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		const step = 4 << 20
		_, err := io.CopyN(digest, section, step)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("digesting %s: %w", file, err)
		}
	}
	if got := hex.EncodeToString(digest.Sum(nil)); got != want {
		v.problem("%s has the digest %s, the manifest says %.150s", file, got, want)
	}
	return nil
}
