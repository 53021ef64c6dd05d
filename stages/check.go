package stages

import (
	"context"
	"fmt"
	"slices"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/stages/sandbox"
)

const kindCheck = "check"

// check adds the stage that starts the JVM once in the finished tree, refusing
// to run without its class archive: in the guest a mismatch would only make
// things slow, silently. The root is made meanwhile; the scrub, which all
// outputs stand behind, waits for both.
func (s *set) check(stack []builder.Input, config builder.Input) builder.Input {
	return from(s.add(builder.Stage{
		Name:    "check",
		Title:   "start the runtime with its class archive",
		Kind:    kindCheck,
		Version: 1,
		Inputs:  append(slices.Clone(stack), config),
	}, struct{}{}), "log")
}

// checkArchive is the runner. What the JVM says of its version is the output.
func (o Options) checkArchive(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	tree, guest, err := o.guestTree(ctx, w)
	if err != nil {
		return nil, err
	}
	command := guest.App.Command
	args := []string{command[0], "-Xshare:on", "-XX:+VerifySharedSpaces", "-XX:SharedArchiveFile=" + guestArchive}
	args = append(args, collectorOf(command)...)
	args = append(args, "-cp", classPathOf(command), "-version")
	log, err := o.runJava(ctx, sandbox.Command{Root: tree, Args: args})
	if err != nil {
		return nil, fmt.Errorf("using the class archive: %w", err)
	}
	desc, err := putBytes(ctx, w.Store, log, mediaTypeText)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"log": desc}, nil
}
