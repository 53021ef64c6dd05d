package stages

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/kernel/init/config"
	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/stages/sandbox"
	"github.com/opencontainers/go-digest"
)

const (
	kindTrain  = "train"
	kindPinned = "classes"
)

// trainParams say how the app is exercised.
type trainParams struct {
	Train recipes.Train `json:"train"`
}

// pinnedParams stand for the class list in the lock.
type pinnedParams struct {
	Digest string `json:"digest"`
}

// classes adds the stage that gives the list of classes to archive: the lock's
// when it was made for these very inputs, else that of a training run.
func (s *set) classes(stack []builder.Input) string {
	key := s.TrainingKey()
	locked := s.Lock.Classes
	usable := locked != nil && (locked.Key == key || s.Train == TrainNever) && s.Train != TrainAlways
	if usable {
		list := strings.Join(locked.List, "\n") + "\n"
		return s.add(builder.Stage{
			Name:    StageClasses,
			Title:   fmt.Sprintf("take %d classes from the lock", len(locked.List)),
			Kind:    kindPinned,
			Version: 1,
		}, pinnedParams{Digest: digest.FromString(list).String()})
	}
	return s.add(builder.Stage{
		Name:    StageClasses,
		Title:   "run the app to see which classes it loads",
		Kind:    kindTrain,
		Version: 2,
		Inputs:  stack,
	}, trainParams{Train: s.Recipe.Recipe.Runtime.JVM.CDS.Train})
}

// pinnedClasses is the runner that takes the list from the lock.
func (o Options) pinnedClasses(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	desc, err := putBytes(ctx, w.Store, []byte(strings.Join(o.Lock.Classes.List, "\n")+"\n"), mediaTypeText)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"classes": desc}, nil
}

// listFile is where the JVM leaves the list, in a folder of its own.
const listFile = "/.train/classes"

// trainClasses is the runner: it starts the app in the sandbox, in the tree
// that the guest will have, exercises it, stops it and sorts what it loaded.
func (o Options) trainClasses(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[trainParams](w)
	if err != nil {
		return nil, err
	}
	tree, guest, err := o.guestTree(ctx, w)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(w.Dir, "train")
	if err := os.Mkdir(dir, 0o777); err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		return nil, err
	}
	cmd := o.guestCommand(tree, guest, "-Xshare:off", "-XX:DumpLoadedClassList="+listFile)
	cmd.Binds = append(cmd.Binds, sandbox.Bind{Source: dir, Target: filepath.Dir(listFile), Write: true})

	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(p.Train.Timeout), errTrainTimeout)
	defer cancel()
	if err := o.train(ctx, cmd, p.Train); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, filepath.Base(listFile)))
	if err != nil {
		return nil, fmt.Errorf("reading the class list of the training run: %w", err)
	}
	list := sortClasses(string(text))
	if len(list) == 0 {
		return nil, errors.New("the training run loaded no classes")
	}
	desc, err := putBytes(ctx, w.Store, []byte(strings.Join(list, "\n")+"\n"), mediaTypeText)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"classes": desc}, nil
}

var errTrainTimeout = errors.New("training timed out")

// sortClasses brings a class list into an order that does not depend on the
// run, and drops what does: numbers of classes, and classes of the app's own
// loaders, which the JVM finds only by those numbers.
func sortClasses(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || strings.Contains(line, " source: ") {
			continue
		}
		line, _, _ = strings.Cut(line, " id: ")
		list = append(list, line)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// guestTree unpacks the layers of a stage and reads init's configuration.
func (o Options) guestTree(ctx context.Context, w *builder.Work) (string, config.Guest, error) {
	tree, err := w.Store.Tree(ctx, layers(w, "layer")...)
	if err != nil {
		return "", config.Guest{}, err
	}
	guest, err := readGuest(ctx, w)
	return tree, guest, err
}

// guestCommand is the app's command, as init would run it, with options of the
// JVM put in first.
func (o Options) guestCommand(tree string, guest config.Guest, options ...string) sandbox.Command {
	args := slices.Clone(guest.App.Command)
	args = slices.Insert(args, 1, options...)
	cmd := sandbox.Command{
		Root:     tree,
		Args:     args,
		Env:      append([]string{"TZ=" + guest.Timezone, "LANG=C.UTF-8", "HOME=/tmp"}, guest.App.Env...),
		Dir:      guest.App.Dir,
		UID:      guest.App.UID,
		GID:      guest.App.GID,
		Hostname: guest.Hostname,
	}
	for _, m := range guest.Mounts {
		cmd.Binds = append(cmd.Binds, sandbox.Bind{Target: m.Path, Tmpfs: true})
	}
	return cmd
}

// train runs the app, exercises it and stops it.
func (o Options) train(ctx context.Context, cmd sandbox.Command, t recipes.Train) error {
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	box, err := o.boxes.find(ctx)
	if err != nil {
		return err
	}
	p, err := box.Start(ctx, cmd)
	if err != nil {
		return fmt.Errorf("starting the app to train it: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Wait() }()

	if t.Exit {
		select {
		case err := <-ended:
			return trainError(err, ctx, &log)
		case <-ctx.Done():
			<-ended
			return trainError(context.Cause(ctx), ctx, &log)
		}
	}
	exercised := make(chan error, 1)
	go func() { exercised <- exercise(ctx, p, t) }()
	select {
	case err = <-exercised:
	case err = <-ended:
		if err == nil {
			err = errors.New("the app ended before it answered")
		}
		return trainError(err, ctx, &log)
	}
	if err != nil {
		p.Kill()
		<-ended
		return trainError(err, ctx, &log)
	}
	if err := p.Signal(); err != nil {
		return err
	}
	select {
	case <-ended: // a JVM that ends by SIGTERM says 143
		return nil
	case <-ctx.Done():
		<-ended
		return trainError(fmt.Errorf("the app did not stop after SIGTERM: %w", context.Cause(ctx)), ctx, &log)
	}
}

// trainError says what went wrong in a training run, with the app's last words.
func trainError(err error, ctx context.Context, log *bytes.Buffer) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); errors.Is(cause, context.Canceled) {
		return cause
	}
	said := lastLines(log.String(), 12)
	if said != "" {
		said = "\n" + said
	}
	return fault.New(fault.Stage, fmt.Errorf("training the app: %w%s", err, said),
		"the app runs in a sandbox without a network; `runtime.jvm.cds.mode: default` does without training")
}
