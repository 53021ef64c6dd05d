// Package builder turns a plan into artifacts. It knows stages only as data:
// what they do lives in the stages package, behind [Runner].
//
// # Plan
//
// A [Stage] is a unit of cacheable work, described by a kind, a version of
// that kind, parameters as JSON, the versions of the programs it runs, and
// the outputs of other stages that it reads. A [Plan] is an acyclic graph of
// them, made without side effects and printable as a tree, as JSON and as
// Graphviz text.
//
// # Keys
//
// The key of a stage is the digest of its identity and of its inputs' keys.
// Name and Title are cosmetic and not part of it. When a stage is not known by
// that key, its inputs are made and a second key is asked: identity and the
// digests of what the inputs really are. So a change that leads to the same
// intermediate result stops there.
//
// # Engine
//
// An [Engine] executes a plan. The local engine (builder/local) runs stages in
// parallel, as soon as their inputs are there, and keeps results in a store
// (builder/store). All it tells goes out as one stream of [Event] values, which
// the views (builder/view) and [WriteTrace] draw.
package builder

import (
	"context"
	"encoding/json"
	"io"

	"github.com/hashicorp/go-hclog"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Stage is a unit of cacheable work, as data.
type Stage struct {
	// Name is unique in the plan and what Input.Stage refers to. Title says
	// in a few words what the stage does. Neither is part of the key.
	Name  string `json:"name"`
	Title string `json:"title,omitempty"`

	// Kind selects the runner; Version is raised whenever the runner's
	// output for the same parameters changes.
	Kind    string `json:"kind"`
	Version int    `json:"version"`
	// Params are the runner's parameters, as JSON.
	Params json.RawMessage `json:"params,omitempty"`
	// Tools are the external programs that shape the output, and their
	// versions.
	Tools map[string]string `json:"tools,omitempty"`
	// Inputs are the outputs of other stages, by the role they play here.
	Inputs []Input `json:"inputs,omitempty"`
}

// Input binds an output of another stage to a role.
type Input struct {
	Role   string `json:"role"`   // unique within the stage
	Stage  string `json:"stage"`  // Name of the stage that makes it
	Output string `json:"output"` // which of its outputs
}

// Outputs are the artifacts that a stage made, by name.
type Outputs map[string]ocispec.Descriptor

// Engine executes plans.
type Engine interface {
	// Run makes the targets of the plan and returns their outputs by stage
	// name. It stops at the first failure and returns that error, which names
	// the stage and keeps the kind and hints of what went wrong there.
	Run(ctx context.Context, p *Plan) (map[string]Outputs, error)
}

// Runner does the work of one kind of stage. The same Work must give the same
// Outputs, bit by bit, on any machine at any time.
type Runner interface {
	Run(ctx context.Context, w *Work) (Outputs, error)
}

// RunnerFunc is a function as a Runner.
type RunnerFunc func(ctx context.Context, w *Work) (Outputs, error)

// Run calls f.
func (f RunnerFunc) Run(ctx context.Context, w *Work) (Outputs, error) { return f(ctx, w) }

// Work is all that a running stage sees.
type Work struct {
	Stage  Stage
	Inputs map[string]ocispec.Descriptor // by role
	// Dir is a private scratch folder, on the file system of the store, gone
	// when the stage ends.
	Dir   string
	Store Store
	// Progress reports work done, in the unit given; total is 0 when unknown.
	Progress func(done, total int64, unit Unit)
	// Warn reports something the user should know that is not an error.
	Warn func(format string, args ...any)
	Log  hclog.Logger
}

// Unit is what progress counts.
type Unit string

// The units of progress.
const (
	Bytes Unit = "bytes"
	Files Unit = "files"
	Steps Unit = "steps"
)

// Store keeps artifacts by digest.
type Store interface {
	// Open returns the bytes of an artifact.
	Open(ctx context.Context, desc ocispec.Descriptor) (Blob, error)
	// Create begins a new artifact. Nothing is visible before Commit.
	Create(ctx context.Context, mediaType string) (BlobWriter, error)
	// Tree returns a folder that holds the given layers, unpacked one over
	// the other, first to last. It is shared and must not be changed. Owners
	// and device nodes are not kept; modes, times and links are.
	Tree(ctx context.Context, layers ...ocispec.Descriptor) (dir string, err error)
}

// Blob is the content of an artifact.
type Blob interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// BlobWriter takes the bytes of a new artifact. Commit makes it durable and
// returns its descriptor; Close without Commit drops it. Close after Commit
// does nothing.
type BlobWriter interface {
	io.Writer
	Commit(ctx context.Context) (ocispec.Descriptor, error)
	io.Closer
}
