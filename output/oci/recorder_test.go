package oci_test

import (
	"context"

	"github.com/imgbuild/imgbuild/output"
)

// recorder is a tree that remembers how its image was called.
type recorder struct {
	output.Tree
	ref string
}

func (r *recorder) Export(ctx context.Context, path, ref string) error {
	r.ref = ref
	return r.Tree.Export(ctx, path, ref)
}
