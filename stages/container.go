package stages

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/kernel/init/config"
	"github.com/imgbuild/imgbuild/stages/files"
	"github.com/imgbuild/imgbuild/stages/image"
)

const kindImage = "image"

// imageParams pin a container image.
type imageParams struct {
	Ref       string `json:"ref"` // local ones relative to the recipe
	Digest    string `json:"digest"`
	PlainHTTP bool   `json:"plainHTTP,omitempty"`
	Epoch     int64  `json:"epoch"`
}

// container adds the stage that fetches a container image and flattens it to
// one layer: what an upper layer deleted is not shipped in a lower one.
func (s *set) container(ref string) string {
	name := "image " + imageName(s.Recipe, ref)
	if s.has(name) {
		return name
	}
	return s.add(builder.Stage{
		Name:    name,
		Title:   "fetch the image " + imageName(s.Recipe, ref),
		Kind:    kindImage,
		Version: 1,
	}, imageParams{
		Ref:       imageName(s.Recipe, ref),
		Digest:    s.Lock.Images[imageName(s.Recipe, ref)].Digest,
		PlainHTTP: imageRefs(&s.Recipe.Recipe)[ref],
		Epoch:     s.Epoch.Unix(),
	})
}

// images returns a client that fetches into the store.
func (o Options) images(plainHTTP bool) *image.Client {
	return image.New(image.Options{Store: o.Store.Content(), PlainHTTP: plainHTTP, Log: o.Log})
}

// fetchImage is the runner.
func (o Options) fetchImage(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[imageParams](w)
	if err != nil {
		return nil, err
	}
	ref := p.Ref
	for _, prefix := range []string{"oci:", "archive:"} {
		if rel, ok := strings.CutPrefix(ref, prefix); ok && !filepath.IsAbs(rel) {
			ref = prefix + filepath.Join(o.Recipe.Dir, filepath.FromSlash(rel))
		}
	}
	im, err := o.images(p.PlainHTTP).Fetch(ctx, ref, digest.Digest(p.Digest))
	if err != nil {
		return nil, err
	}
	tree, err := w.Store.Tree(ctx, im.Layers...)
	if err != nil {
		return nil, err
	}
	owners, err := readOwners(ctx, w.Store, im.Layers)
	if err != nil {
		return nil, err
	}
	entries, err := files.Folder(tree, "/", files.FolderOptions{})
	if err != nil {
		return nil, err
	}
	for i := range entries {
		o := owners[entries[i].Path]
		entries[i].UID, entries[i].GID = o.uid, o.gid
	}
	layer, err := put(ctx, w.Store, mediaTypeLayer, func(out io.Writer) error {
		return files.Layer(ctx, out, entries, epochTime(p.Epoch))
	})
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(im.Config)
	if err != nil {
		return nil, err
	}
	conf, err := putBytes(ctx, w.Store, text, mediaTypeJSON)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"layer": layer, "config": conf}, nil
}

const kindImageSkeleton = "skeleton on image"

// skeletonOn adds the stage that puts init on top of a container image.
func (s *set) skeletonOn(container string) string {
	r := s.Recipe.Recipe
	return s.add(builder.Stage{
		Name:    StageConfig,
		Title:   "lay out the root",
		Kind:    kindImageSkeleton,
		Version: 2,
		Inputs: []builder.Input{
			{Role: "image", Stage: container, Output: "layer"},
			{Role: "image config", Stage: container, Output: "config"},
		},
	}, skeletonParams{
		Guest: s.guestConfig(r.App.Command),
		User:  r.App.User,
		Args:  r.App.Args,
		Init:  s.initDigest(),
		Epoch: s.Epoch.Unix(),
	})
}

// layOutOnImage is the runner. What the recipe leaves open is as the image
// says: command, environment, working folder and user.
func (o Options) layOutOnImage(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[skeletonParams](w)
	if err != nil {
		return nil, err
	}
	text, err := readInput(ctx, w, "image config")
	if err != nil {
		return nil, err
	}
	var im ocispec.Image
	if err := json.Unmarshal(text, &im); err != nil {
		return nil, fmt.Errorf("reading the image's configuration: %w", err)
	}
	tree, err := w.Store.Tree(ctx, w.Inputs["image"])
	if err != nil {
		return nil, err
	}
	if err := p.follow(im.Config, tree); err != nil {
		return nil, err
	}
	return writeSkeleton(ctx, w, p, func(init, conf []byte) []files.Entry { return imageEntries(p, init, conf) })
}

// follow takes over what an image says of how it is run.
func (p *skeletonParams) follow(c ocispec.ImageConfig, tree string) error {
	app := &p.Guest.App
	if len(app.Command) == 0 {
		app.Command = append(append([]string{}, c.Entrypoint...), c.Cmd...)
	}
	if len(app.Command) == 0 {
		return fault.New(fault.Recipe, fmt.Errorf("neither the recipe nor the image says what to run"), "set app.command")
	}
	app.Command = append(app.Command, p.Args...)
	app.Env = append(append([]string{}, c.Env...), app.Env...)
	if c.WorkingDir != "" && app.Dir == "/" {
		app.Dir = c.WorkingDir
	}
	if !path.IsAbs(app.Command[0]) {
		found, err := lookPath(tree, app.Env, app.Command[0])
		if err != nil {
			return err
		}
		app.Command[0] = found
	}
	if c.User != "" {
		uid, gid, err := lookUser(tree, c.User)
		if err != nil {
			return err
		}
		app.UID, app.GID = uid, gid
	}
	return nil
}

// lookPath finds a program on the image's PATH.
func lookPath(tree string, env []string, name string) (string, error) {
	search := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, "PATH="); ok {
			search = v
		}
	}
	for _, dir := range strings.Split(search, ":") {
		// Links of the image lead to places in the image: the machine's own
		// programs are none of it.
		if _, err := files.Resolve(tree, path.Join("/", dir, name)); err == nil {
			return path.Join("/", dir, name), nil
		}
	}
	return "", fault.New(fault.Input, fmt.Errorf("the image has no program %q on its PATH %s", name, search), "give app.command with an absolute path")
}

// lookUser resolves USER of an image: name, uid, name:group or uid:gid. As in
// container engines, a number that is not in the image's passwd has group 0.
func lookUser(tree, user string) (uid, gid int, err error) {
	name, group, hasGroup := strings.Cut(user, ":")
	uid, err = strconv.Atoi(name)
	if fields := account(tree, "/etc/passwd", name); len(fields) > 3 {
		uid, _ = strconv.Atoi(fields[2])
		gid, _ = strconv.Atoi(fields[3])
		err = nil
	}
	if err != nil {
		return 0, 0, fault.New(fault.Input, fmt.Errorf("the image's user %q is not in its /etc/passwd", user), "set app.uid and app.gid")
	}
	if hasGroup {
		if fields := account(tree, "/etc/group", group); len(fields) > 2 {
			gid, _ = strconv.Atoi(fields[2])
		} else if gid, err = strconv.Atoi(group); err != nil {
			return 0, 0, fault.New(fault.Input, fmt.Errorf("the image's group %q is not in its /etc/group", group), "set app.uid and app.gid")
		}
	}
	return uid, gid, nil
}

// account finds a line of the tree's passwd or group by name or by number,
// which both have in their third field.
func account(tree, file, name string) []string {
	real, err := files.Resolve(tree, file)
	if err != nil {
		return nil
	}
	f, err := os.Open(filepath.Join(tree, real))
	if err != nil {
		return nil
	}
	defer f.Close()
	const number = 2
	lines := bufio.NewScanner(io.LimitReader(f, 1<<20))
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) > number && (fields[0] == name || fields[number] == name) {
			return fields
		}
	}
	return nil
}

// imageEntries are the files put on top of an image: it keeps its own users
// and name service.
func imageEntries(p skeletonParams, init, conf []byte) []files.Entry {
	keep := map[string]bool{"/etc/passwd": true, "/etc/group": true, "/etc/nsswitch.conf": true}
	var entries []files.Entry
	for _, e := range skeletonEntries(p, init, conf) {
		if !keep[e.Path] && !(e.Dir && e.Path != config.Path && isCommon(e.Path)) {
			entries = append(entries, e)
		}
	}
	return entries
}

// isCommon reports whether every root has this folder already, perhaps as a
// link to another.
func isCommon(dir string) bool {
	switch dir {
	case "/etc", "/sbin":
		return true
	}
	return false
}
