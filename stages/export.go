package stages

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/renameio/v2"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/builder/local"
	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/recipes"
)

// Result is what a build made; it is written as NAME.json beside the outputs.
type Result struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Recipe  string `json:"recipe"` // digest of the resolved recipe
	// Disk is the digest of the scrubbed disk as an artifact, Size its size
	// in bytes.
	Disk string `json:"disk"`
	Size int64  `json:"size"`
	// Epoch is the time everything carries, in seconds.
	Epoch   int64  `json:"epoch"`
	Cmdline string `json:"cmdline"`
	Memory  int64  `json:"memory"` // bytes the appliance asks for
	CPUs    int    `json:"cpus"`
	Ports   []int  `json:"ports,omitempty"`
	// Second is the size of the second disk that the appliance keeps its data
	// on, in bytes; 0 is none.
	Second int64 `json:"second,omitempty"`
	// Properties are the keys of what OVF packages ask for.
	Properties []string `json:"properties,omitempty"`
	// Checks are what `imgbuild test` asks of the booted appliance.
	Checks  []recipes.Check `json:"checks,omitempty"`
	Outputs []output.File   `json:"outputs"`
	// Sanitize is the report of the scrub.
	Sanitize json.RawMessage `json:"sanitize"`
	// Stages tells how long each stage took in this build, in seconds;
	// stages that were reused are not listed.
	Stages map[string]float64 `json:"stages,omitempty"`
	// Settings say which settings the outputs were written with, and Stamps
	// when each file was last changed: a build that would write the same
	// files again leaves them alone.
	Settings string           `json:"settings"`
	Stamps   map[string]int64 `json:"stamps"`
}

// export writes the outputs into the folder and returns what was made. They
// are of the disk that x has scrubbed, and get their names when the gate of the
// folder, which stands behind the end of x, is open. Outputs that are there
// already, from the same disk and with the same settings, are left alone.
func (s *Session) export(ctx context.Context, x *local.Execution, dir *output.Dir) (*Result, error) {
	r := s.Recipe.Recipe
	results, err := x.Outputs(s.Build.Plan.Delivery().From...)
	if err != nil {
		return nil, err
	}
	settings, err := s.settings(results)
	if err != nil {
		return nil, err
	}
	result := &Result{
		Name: r.Name, Version: r.Version, Recipe: string(s.Recipe.Digest),
		Disk: results[StageScrub]["disk"].Digest.String(), Epoch: s.Options.Epoch.Unix(), Cmdline: s.Build.Cmdline,
		Memory: int64(r.Guest.Memory), CPUs: r.Guest.CPUs, Ports: r.App.Ports, Properties: propertyKeys(r.OVF), Checks: r.Test,
		Second:   r.Disk.Data.OnSecond(),
		Settings: settings,
	}
	if old := previous(dir, r.Name); old != nil && old.same(result, dir) {
		result.Size, result.Outputs, result.Stamps = old.Size, old.Outputs, old.Stamps
	} else if err := s.write(ctx, results, dir, result); err != nil {
		return nil, err
	}
	return result, nil
}

// progressEvery is how often the progress of the outputs is told at most.
const progressEvery = 100 * time.Millisecond

// write makes the outputs.
func (s *Session) write(ctx context.Context, results map[string]builder.Outputs, dir *output.Dir, result *Result) error {
	started := time.Now()
	disk, closer, err := OpenDisk(ctx, s.Store, results[StageScrub]["disk"])
	if err != nil {
		return err
	}
	defer closer.Close()
	result.Size = disk.Size()
	appliance, err := s.appliance(ctx, results)
	if err != nil {
		return err
	}
	s.tell(builder.Event{Kind: builder.Started, Stage: "outputs", Title: fmt.Sprintf("write %d outputs", len(s.selected))})
	var told time.Time
	into := dir.Limit(int64(s.Recipe.Recipe.Budgets.OutputSize)).Checked(func(path, _ string) error {
		return readBack(ctx, disk, appliance.Disks, path)
	})
	result.Outputs, err = output.Write(ctx, appliance, disk, into, s.selected, func(done int64) {
		if time.Since(told) < progressEvery && done < disk.Size() {
			return
		}
		told = time.Now()
		s.tell(builder.Event{Kind: builder.Progress, Stage: "outputs", Done: done, Total: disk.Size(), Unit: builder.Bytes})
	})
	if err != nil {
		if ctx.Err() == nil { // else a gate failed, which says so itself
			s.tell(builder.Event{Kind: builder.Failed, Stage: "outputs", Error: err.Error()})
		}
		return err
	}
	s.tell(builder.Event{Kind: builder.Finished, Stage: "outputs", Elapsed: time.Since(started)})
	result.Stamps = map[string]int64{}
	for _, f := range result.Outputs {
		info, err := os.Stat(dir.Path(f.Path))
		if err != nil {
			return err
		}
		result.Stamps[f.Path] = info.ModTime().UnixNano()
		s.tell(builder.Event{Kind: builder.Result, Message: dir.Path(f.Path)})
	}
	return nil
}

// tell sends an event of now to the listener.
func (s *Session) tell(e builder.Event) {
	e.Time = time.Now()
	s.Listen(e)
}

// appliance describes what is wrapped.
func (s *Session) appliance(ctx context.Context, results map[string]builder.Outputs) (output.Appliance, error) {
	r := s.Recipe.Recipe
	tree, err := s.image(ctx, results)
	if err != nil {
		return output.Appliance{}, err
	}
	kernel, err := s.directBoot(ctx, results)
	if err != nil {
		return output.Appliance{}, err
	}
	about, err := s.about()
	if err != nil {
		return output.Appliance{}, err
	}
	parts := map[output.Part]string{}
	for part, in := range s.Build.Parts {
		if parts[part], err = s.pathOf(ctx, results, in); err != nil {
			return output.Appliance{}, err
		}
	}
	a := output.Appliance{
		About: about,
		Name:  r.Name, Version: r.Version, Description: r.Description, Vendor: r.Vendor,
		Digest: string(s.Recipe.Digest), Created: s.Options.Epoch,
		CPUs: r.Guest.CPUs, Memory: int64(r.Guest.Memory), Firmware: "any", Ports: r.App.Ports,
		Kernel: kernel,
		Parts:  parts,
		Tree:   tree,
	}
	if size := r.Disk.Data.OnSecond(); size > 0 {
		a.Disks = []disk.Reader{disk.NewMemory(size)}
	}
	return a, nil
}

// directBoot says where in the store the kernel and its initramfs lie.
func (s *Session) directBoot(ctx context.Context, results map[string]builder.Outputs) (k output.Kernel, err error) {
	k.Cmdline, k.RAMCmdline = s.Build.Cmdline, s.Build.RAMCmdline
	if k.Image, err = s.pathOf(ctx, results, s.Build.Kernel); err != nil || s.Build.Initramfs.Stage == "" {
		return k, err
	}
	k.Initramfs, err = s.pathOf(ctx, results, s.Build.Initramfs)
	return k, err
}

// pathOf returns the path of an artifact in the store.
func (s *Session) pathOf(ctx context.Context, results map[string]builder.Outputs, in builder.Input) (string, error) {
	desc := results[in.Stage][in.Output]
	b, err := s.Store.Open(ctx, desc)
	if err != nil {
		return "", err
	}
	defer b.Close()
	file, ok := b.(interface{ Path() string })
	if !ok {
		return "", fmt.Errorf("artifact %s has no path", desc.Digest)
	}
	return file.Path(), nil
}

// previous reads the result of an earlier build, or returns nil.
func previous(dir *output.Dir, name string) *Result {
	text, err := os.ReadFile(dir.Path(name + ".json"))
	if err != nil {
		return nil
	}
	var r Result
	if json.Unmarshal(text, &r) != nil {
		return nil
	}
	return &r
}

// same reports whether the outputs of an earlier build are what this one would
// make: nobody changed the files since.
func (r *Result) same(now *Result, dir *output.Dir) bool {
	if r.Disk != now.Disk || r.Settings != now.Settings || r.Recipe != now.Recipe || r.Version != now.Version || len(r.Outputs) == 0 {
		return false
	}
	for _, f := range r.Outputs {
		info, err := os.Stat(dir.Path(f.Path))
		if err != nil || info.Size() != f.Size || info.ModTime().UnixNano() != r.Stamps[f.Path] {
			return false
		}
	}
	return true
}

// save writes the result beside the outputs.
func (r *Result) save(dir *output.Dir) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return err
	}
	if err := renameio.WriteFile(dir.Path(r.Name+".json"), b.Bytes(), 0o644); err != nil {
		return fault.New(fault.Environment, fmt.Errorf("writing the result: %w", err),
			"free some space, or name a folder on another disk with -o")
	}
	return nil
}

// Paths returns the paths of the outputs.
func (r *Result) Paths(dir string) []string {
	var paths []string
	for _, f := range r.Outputs {
		paths = append(paths, filepath.Join(dir, f.Path))
	}
	return slices.Clip(paths)
}
