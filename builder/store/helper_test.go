package store_test

import (
	"bytes"
	"compress/gzip"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
)

func withRef(ref string) content.WriterOpt { return content.WithRef(ref) }

func gz(t *testing.T, p []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
