package stages

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/builder/store"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/stages/apt"
)

// Request is what the verbs that build ask for.
type Request struct {
	RecipePath string
	Set        []string // overrides
	CacheDir   string
	OutDir     string
	// Pin says what may happen to the lock.
	Pin PinMode
	// DryRun leaves the lock file as it is.
	DryRun bool
	Train  TrainMode
	Epoch  time.Time
	Jobs   int
	// Verify runs every stage and compares with what the store holds.
	Verify bool
	Listen builder.Listener
	Log    hclog.Logger
}

// Session is a request with its recipe resolved, its inputs pinned and its
// store open.
type Session struct {
	Request
	Options
	Build *Build

	selected []output.Selected
	took     map[string]float64 // seconds, of the stages that ran
}

// Open resolves the recipe, pins its inputs and plans. The caller closes the
// session.
func Open(ctx context.Context, q Request) (*Session, error) {
	r, err := recipes.Resolve(recipes.Options{Path: q.RecipePath, Set: q.Set, SourceDateEpoch: q.Epoch.Unix()})
	if err != nil {
		return nil, err
	}
	q.Listen = oneByOne(q.Listen)
	st, err := store.Open(q.CacheDir, q.Log)
	if err != nil {
		return nil, err
	}
	s := &Session{Request: q, Options: Options{
		Recipe: r,
		Store:  st,
		Apt:    newApt(r, q),
		Epoch:  q.Epoch,
		Jobs:   q.Jobs,
		Train:  q.Train,
		Log:    q.Log,
		boxes:  &boxes{},
	}}
	if err := s.prepare(ctx); err != nil {
		st.Close()
		return nil, err
	}
	return s, nil
}

// prepare pins and plans. The lock is written when the plan is known to be one.
func (s *Session) prepare(ctx context.Context) error {
	var err error
	if s.selected, err = selectOutputs(s.Recipe); err != nil {
		return err
	}
	lock, changed, err := s.Options.Pin(ctx, s.Request.Pin)
	if err != nil {
		return err
	}
	s.Lock = lock
	if s.Build, err = s.Plan(ctx); err != nil || !changed || s.DryRun {
		return err
	}
	return recipes.WriteLock(recipes.LockPath(s.RecipePath), lock)
}

// oneByOne lets several tell a listener, which may be nil.
func oneByOne(listen builder.Listener) builder.Listener {
	var telling sync.Mutex
	return func(e builder.Event) {
		if listen != nil {
			telling.Lock()
			defer telling.Unlock()
			listen(e)
		}
	}
}

// Close gives the store back.
func (s *Session) Close() error { return s.Store.Close() }

// newApt makes the apt client of a recipe.
func newApt(r *recipes.Resolved, q Request) *apt.Client {
	return apt.New(apt.Options{
		CacheDir:    q.CacheDir,
		SourcesList: r.Recipe.Sources.Apt.List,
		Keyring:     r.Recipe.Sources.Apt.Keyring,
		Log:         q.Log,
	})
}

// keepClasses writes a new class list to the lock, so that the next build
// needs no training and makes the same archive.
func (s *Session) keepClasses(ctx context.Context, results map[string]builder.Outputs) error {
	made, ok := results[StageClasses]
	if !ok || s.Request.Train == TrainNever {
		return nil
	}
	text, err := readBlob(ctx, s.Store, made["classes"])
	if err != nil {
		return err
	}
	classes := &recipes.LockedClasses{Key: s.TrainingKey(), List: strings.Split(strings.TrimSpace(string(text)), "\n")}
	if old := s.Lock.Classes; old != nil && old.Key == classes.Key && slices.Equal(old.List, classes.List) {
		return nil
	}
	lock := *s.Lock
	lock.Classes = classes
	if err := recipes.WriteLock(recipes.LockPath(s.RecipePath), &lock); err != nil {
		return fmt.Errorf("keeping the class list: %w", err)
	}
	return nil
}

// EpochFromEnvironment returns SOURCE_DATE_EPOCH, or the default epoch.
func EpochFromEnvironment() (time.Time, error) {
	v, ok := os.LookupEnv("SOURCE_DATE_EPOCH")
	if !ok || v == "" {
		return DefaultEpoch, nil
	}
	var n int64
	if _, err := fmt.Sscanf(v, "%d", &n); err != nil || n < 0 {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q, which is not a number of seconds", v)
	}
	return time.Unix(n, 0).UTC(), nil
}

func epochTime(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }
