package stages

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/stages/elfdeps"
	"github.com/imgbuild/imgbuild/stages/files"
	"github.com/imgbuild/imgbuild/stages/sandbox"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const kindJRE = "jre"

// jreParams describe the trimmed runtime.
type jreParams struct {
	TrustStore string   `json:"trustStore"`
	JNI        []string `json:"jni,omitempty"`
	Epoch      int64    `json:"epoch"`
}

// jre adds the stage that links the trimmed runtime.
func (s *set) jre(jdk []builder.Input, modules string) string {
	jvm := s.Recipe.Recipe.Runtime.JVM
	return s.add(builder.Stage{
		Name:    "jre",
		Title:   "link the Java runtime",
		Kind:    kindJRE,
		Version: 6,
		Tools:   s.versions("strip"),
		Inputs:  append(append([]builder.Input{}, jdk...), builder.Input{Role: "modules", Stage: modules, Output: "modules"}),
	}, jreParams{TrustStore: jvm.TrustStore, JNI: jvm.JNI, Epoch: s.Epoch.Unix()})
}

// dropped are files of a linked runtime that an appliance has no use for:
// tools, what only the linker reads, starters of other programs, and what
// draws on a screen. Without that last, java.desktop still draws into images,
// as the distributions' headless runtimes do.
var dropped = []string{
	"bin/keytool", "bin/rmiregistry", "bin/jrunscript", "bin/jwebserver",
	"lib/classlist", "lib/jrt-fs.jar", "lib/jexec", "lib/jspawnhelper", "lib/server/libjsig.so",
	"lib/libawt_xawt.so", "lib/libjawt.so", "lib/libsplashscreen.so",
}

// linkJRE is the runner: jlink in the sandbox, then strip, then the closure of
// shared libraries.
func (o Options) linkJRE(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[jreParams](w)
	if err != nil {
		return nil, err
	}
	jdk, err := o.openJDK(ctx, w)
	if err != nil {
		return nil, err
	}
	list, err := readInput(ctx, w, "modules")
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(w.Dir, "out")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	modules := strings.Join(strings.Fields(string(list)), ",")
	if err := jdk.link(ctx, o, dir, modules); err != nil {
		return nil, err
	}
	tree := filepath.Join(dir, "jre")
	classes, err := defaultClasses(ctx, w, tree)
	if err != nil {
		return nil, err
	}
	if err := o.trim(ctx, w, tree, p); err != nil {
		return nil, err
	}
	legal, err := o.legalLayer(ctx, w, tree, p)
	if err != nil {
		return nil, err
	}
	layer, err := folderLayer(ctx, w, tree, guestJRE, p.Epoch)
	if err != nil {
		return nil, err
	}
	libs, err := o.libraries(ctx, w, jdk, layer, p)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"layer": layer, "libs": libs, "legal": legal, "classlist": classes}, nil
}

// defaultClasses stores the list of classes that the JDK itself would archive;
// empty where its makers left that out.
func defaultClasses(ctx context.Context, w *builder.Work, tree string) (ocispec.Descriptor, error) {
	list, err := os.ReadFile(filepath.Join(tree, "lib/classlist"))
	if err != nil && !os.IsNotExist(err) {
		return ocispec.Descriptor{}, fmt.Errorf("reading the runtime's class list: %w", err)
	}
	return putBytes(ctx, w.Store, list, mediaTypeText)
}

// link runs jlink. The image is not compressed: the filesystem is, and what
// was compressed twice ends up a third larger. Native code is stripped after,
// because jlink looks for objcopy beside itself.
func (j jdk) link(ctx context.Context, o Options, out, modules string) error {
	var log bytes.Buffer
	err := o.sandboxed(ctx, sandbox.Command{
		Root: j.root,
		Args: []string{j.home + "/bin/jlink", "--module-path", j.home + "/jmods", "--add-modules", modules,
			"--output", "/out/jre", "--strip-java-debug-attributes", "--no-header-files", "--no-man-pages"},
		Binds:  []sandbox.Bind{{Source: out, Target: "/out", Write: true}},
		Stdout: &log, Stderr: &log,
	})
	if err == nil {
		return nil
	}
	if text := log.String(); strings.Contains(text, "Module ") && strings.Contains(text, "not found") {
		return fault.New(fault.Input, fmt.Errorf("jlink: %s", lastLines(text, 1)),
			"correct runtime.jvm.modules or runtime.jvm.addModules")
	}
	return fmt.Errorf("running jlink: %w\n%s", err, lastLines(log.String(), 8))
}

// trim removes what the guest has no use for, strips the rest, and gives all of
// it the modes that jlink would under the usual umask: it follows the user's,
// and the guest's user must be able to read the runtime.
func (o Options) trim(ctx context.Context, w *builder.Work, tree string, p jreParams) error {
	remove := dropped
	if p.TrustStore == "none" {
		remove = append([]string{"lib/security/cacerts"}, remove...)
	}
	for _, name := range remove {
		if err := os.Remove(filepath.Join(tree, name)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	var programs []string
	err := filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Type().IsRegular() && isELF(path) {
			programs = append(programs, path)
		}
		return evenMode(path, d)
	})
	if err != nil {
		return fmt.Errorf("looking through the runtime: %w", err)
	}
	return runTool(ctx, w, nil, "strip", append([]string{"-p", "--strip-unneeded"}, programs...)...)
}

// evenMode lets everyone read what its owner can, and enter or run it.
func evenMode(path string, d fs.DirEntry) error {
	info, err := d.Info()
	switch {
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		return nil
	case info.IsDir() || info.Mode()&0o100 != 0:
		return os.Chmod(path, 0o755)
	}
	return os.Chmod(path, 0o644)
}

func isELF(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var magic [4]byte
	_, err = io.ReadFull(f, magic[:])
	return err == nil && string(magic[:]) == elf.ELFMAG
}

// legalLayer moves the licence files out of the runtime: they travel beside
// the appliance, not in it.
func (o Options) legalLayer(ctx context.Context, w *builder.Work, tree string, p jreParams) (ocispec.Descriptor, error) {
	legal := filepath.Join(w.Dir, "legal")
	if err := os.Rename(filepath.Join(tree, "legal"), legal); err != nil && !os.IsNotExist(err) {
		return ocispec.Descriptor{}, err
	}
	if err := os.MkdirAll(legal, 0o755); err != nil {
		return ocispec.Descriptor{}, err
	}
	return folderLayer(ctx, w, legal, "/jre/legal", p.Epoch)
}

// localeDir is the locale C.UTF-8. Without it a JVM takes the locale for C and
// reads its command line, names of files and, before version 18, the environment
// as ASCII, whatever its options say: -Dsun.jnu.encoding does not reach the
// launcher, nor does a file of arguments help. The C library refuses it when one
// category is missing, so all are there, 13 files of 361 kB.
const localeDir = "/usr/lib/locale/C.utf8"

// locale is localeDir, if the JDK came with it: Debian has it in libc-bin.
func locale(root string) ([]files.Entry, error) {
	if info, err := os.Lstat(root + localeDir); err != nil || !info.IsDir() {
		return nil, nil
	}
	return files.Folder(root+localeDir, localeDir, files.FolderOptions{Mode: 0o644})
}

// libraries makes the layer of shared libraries that the runtime needs, read
// from the ELF files themselves, and of its locale.
func (o Options) libraries(ctx context.Context, w *builder.Work, j jdk, jre ocispec.Descriptor, p jreParams) (ocispec.Descriptor, error) {
	root, err := w.Store.Tree(ctx, append(layers(w, "jdk"), jre)...)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	var programs []string
	err = filepath.WalkDir(filepath.Join(root, guestJRE), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && isELF(path) {
			programs = append(programs, strings.TrimPrefix(path, root))
		}
		return err
	})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	libraries, err := elfdeps.Closure(root, programs, p.JNI)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	entries, err := libraryEntries(root, libraries)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	characters, err := locale(root)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("taking the locale: %w", err)
	}
	entries = withParents(append(entries, characters...))
	return put(ctx, w.Store, mediaTypeLayer, func(out io.Writer) error {
		return files.Layer(ctx, out, entries, epochTime(p.Epoch))
	})
}
