// Package stages is the catalogue of the things a build does: it turns a
// resolved recipe and its lock into a plan, and holds a runner for each kind
// of stage.
//
//	app ─ references ─ modules ─ jre
//	app, skeleton, jre ─ classes ─ archive ─┬─ check ─────────┐
//	                                        └─ root ─┐        │
//	                                                 ├─ disk ─┴─ scrub
//	kernel source ─ kernel ─ efi, Xen PV ───── boot ─┤
//	                                           data ─┘
//
// Packages and images come in where a stage names them.
//
// Each kind of stage has a file of its own: its parameters, the function that
// adds it to a plan, and its runner. Parameters hold all that shapes the
// output, and nothing else: digests of local files instead of their paths,
// versions and digests of packages instead of where they come from.
//
// # Trees
//
// The root filesystem is a stack of OCI layers: skeleton, runtime, libraries,
// app, class archive. Each is an uncompressed tar with every owner, mode and
// time fixed, so the same stack loads into a container engine as it is and
// becomes a filesystem image for a hypervisor.
//
// # Outside programs
//
// File system makers, the compiler, apt and the sandbox run as ordinary
// processes on files. [Plan] finds those it needs; their versions are part of
// the keys.
package stages

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/builder/store"
	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/stages/apt"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Options are what planning and running need beyond the recipe.
type Options struct {
	Recipe *recipes.Resolved
	Lock   *recipes.Lock
	Store  *store.Store
	Apt    *apt.Client
	// Epoch is the time that everything made carries.
	Epoch time.Time
	// Jobs bounds the processes of the kernel build.
	Jobs int
	// Train says when the class list is made anew; the zero value is
	// TrainWhenStale.
	Train TrainMode
	Log   hclog.Logger

	boxes *boxes
}

// TrainMode says when the app is run to find the classes it loads.
type TrainMode int

// The training modes.
const (
	TrainWhenStale TrainMode = iota // when the lock's list is for other inputs
	TrainNever                      // use the lock's list whatever it is for
	TrainAlways
)

// DefaultEpoch is used when SOURCE_DATE_EPOCH is not set: the earliest time
// that a FAT directory and a zip archive can hold. The newest input's time
// would be no better: local files have other times in every checkout, and the
// bits would differ with them.
var DefaultEpoch = time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC)

// Layer media types.
const mediaTypeLayer = ocispec.MediaTypeImageLayer

// Names of the stages that others ask for.
const (
	StageScrub   = "scrub"
	StageProof   = "proof"
	StageAudit   = "audit"
	StageClasses = "classes"
	StageKernel  = "kernel"
	StageConfig  = "skeleton"
)

// set collects the stages of a plan.
type set struct {
	Options
	ctx     context.Context
	toolbox builder.Toolbox
	stages  []builder.Stage
	checks  []builder.Input // what the scrub stands behind
	targets []string        // stages that nothing else needs, and that must run
	lacking map[string]lack // programs that were not found
	err     error
}

// add appends a stage and returns its name. params is marshalled to JSON.
func (s *set) add(st builder.Stage, params any) string {
	raw, err := json.Marshal(params)
	if err != nil && s.err == nil {
		s.err = fmt.Errorf("marshalling the parameters of stage %s: %w", st.Name, err)
	}
	st.Params = raw
	s.stages = append(s.stages, st)
	return st.Name
}

// canonical is a value as JSON, for digests.
func canonical(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // types of this package, which marshal
	}
	return text
}

// params decodes the parameters of a running stage.
func params[T any](w *builder.Work) (T, error) {
	var p T
	if err := json.Unmarshal(w.Stage.Params, &p); err != nil {
		return p, fmt.Errorf("reading parameters: %w", err)
	}
	return p, nil
}
