package stages

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/stages/files"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const kindFolder = "folder"

// folderParams name a pinned local folder and where it stands in the layer.
type folderParams struct {
	Source localFile `json:"source"`
	Target string    `json:"target"`
	Epoch  int64     `json:"epoch"`
}

// folder adds the stage that packs a local folder as a layer.
func (s *set) folder(abs, target string) string {
	name := "folder " + LocalName(s.Recipe, abs)
	return s.add(builder.Stage{
		Name:    name,
		Title:   "pack " + filepath.Base(abs),
		Kind:    kindFolder,
		Version: 1,
	}, folderParams{Source: *s.local(abs), Target: target, Epoch: s.Epoch.Unix()})
}

// packFolder is the runner.
func (o Options) packFolder(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[folderParams](w)
	if err != nil {
		return nil, err
	}
	host, err := o.verified(p.Source)
	if err != nil {
		return nil, err
	}
	layer, err := folderLayer(ctx, w, host, p.Target, p.Epoch)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"layer": layer}, nil
}

// folderLayer packs a folder of this machine as a layer that belongs to root.
func folderLayer(ctx context.Context, w *builder.Work, host, target string, epoch int64) (ocispec.Descriptor, error) {
	entries, err := files.Folder(host, target, files.FolderOptions{})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return put(ctx, w.Store, mediaTypeLayer, func(out io.Writer) error {
		return files.Layer(ctx, out, withParents(entries), epochTime(epoch))
	})
}

// verified returns the path on this machine of a local file whose digest is
// the locked one.
func (o Options) verified(f localFile) (string, error) {
	host := filepath.FromSlash(f.Path)
	if !filepath.IsAbs(host) {
		host = filepath.Join(o.Recipe.Dir, host)
	}
	got, _, err := files.Digest(host)
	if err != nil {
		return "", fault.New(fault.Input, err)
	}
	if got != f.SHA256 {
		return "", fault.New(fault.Input, fmt.Errorf("%s changed while the build ran", f.Path), "build again")
	}
	return host, nil
}
