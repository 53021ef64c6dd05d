package stages

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/stages/files"
	"github.com/imgbuild/imgbuild/stages/sandbox"
)

const kindArchive = "archive"

// archiveParams describe the class archive.
type archiveParams struct {
	Mode  string `json:"mode"` // of runtime.jvm.cds
	Epoch int64  `json:"epoch"`
}

// archive adds the stage that dumps the class archive from a list of classes.
func (s *set) archive(stack []builder.Input, classes builder.Input) string {
	mode := s.Recipe.Recipe.Runtime.JVM.CDS.Mode
	classes.Role = "classes"
	inputs := append(slices.Clone(stack), classes)
	return s.add(builder.Stage{
		Name:    "archive",
		Title:   "archive the app's classes",
		Kind:    kindArchive,
		Version: 5,
		Inputs:  inputs,
	}, archiveParams{Mode: mode, Epoch: s.Epoch.Unix()})
}

// dumpArchive is the runner. It dumps a static archive in the tree that the
// guest will have.
func (o Options) dumpArchive(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[archiveParams](w)
	if err != nil {
		return nil, err
	}
	tree, guest, err := o.guestTree(ctx, w)
	if err != nil {
		return nil, err
	}
	list, err := readInput(ctx, w, "classes")
	if err != nil {
		return nil, err
	}
	args := append([]string{guest.App.Command[0], "-Xshare:dump", archiveGC, "-Xmx256m"}, mainFirst...)
	args = append(args, "-XX:SharedArchiveFile=/.dump/classes.jsa", "-XX:SharedClassListFile=/.dump/classes")
	classPath := classPathOf(guest.App.Command)
	args = append(args, "-cp", classPath)
	dir, err := o.dumpAlike(ctx, w, sandbox.Command{Root: tree, Args: args}, list)
	if err != nil {
		return nil, fmt.Errorf("dumping the class archive: %w", err)
	}
	layer, err := put(ctx, w.Store, mediaTypeLayer, func(out io.Writer) error {
		return files.Layer(ctx, out, []files.Entry{
			{Path: guestArchive, Mode: 0o444, Source: archiveIn(dir)},
		}, epochTime(p.Epoch))
	})
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"layer": layer}, nil
}

// classPathOf returns the value of -cp in a command.
func classPathOf(command []string) string {
	if i := slices.Index(command, "-cp"); i >= 0 && i+1 < len(command) {
		return command[i+1]
	}
	return ""
}

// collectorOf returns the options of a command that choose the collector.
func collectorOf(command []string) (opts []string) {
	for _, a := range command {
		if len(a) > 7 && a[:8] == "-XX:+Use" && a[len(a)-2:] == "GC" {
			opts = append(opts, a)
		}
	}
	return opts
}

// runJava runs the runtime in the sandbox and returns what it says.
func (o Options) runJava(ctx context.Context, cmd sandbox.Command) ([]byte, error) {
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.Env = []string{"LANG=C.UTF-8", "TZ=UTC"}
	if err := o.sandboxed(ctx, cmd); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, lastLines(log.String(), 8))
	}
	return log.Bytes(), nil
}
