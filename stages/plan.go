package stages

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/recipes"
	"github.com/opencontainers/go-digest"
)

// Build is a plan and the names of the stages whose outputs the caller needs.
type Build struct {
	Plan *builder.Plan
	// Layers are the outputs that make up the root filesystem, lowest first.
	Layers []builder.Input
	// Kernel, and Initramfs unless empty, are the outputs for a direct boot.
	Kernel    builder.Input
	Initramfs builder.Input
	// Parts are the outputs that formats ask for beside the disk.
	Parts map[output.Part]builder.Input
	// Legal are the outputs that hold licence files.
	Legal []builder.Input
	// Cmdline is the kernel command line, RAMCmdline that without a disk.
	Cmdline, RAMCmdline string
}

// Plan makes the plan of a build. It reads the recipe, the lock and the
// versions of outside programs, and changes nothing. Every input must be in
// the lock: see [Pin].
func (o Options) Plan(ctx context.Context) (*Build, error) {
	if err := o.checkMemory(); err != nil {
		return nil, err
	}
	s := &set{Options: o, ctx: ctx, lacking: map[string]lack{}}
	b := &Build{}
	s.tree(b)
	kernel := s.kernel()
	b.Kernel = kernel[0]
	if len(kernel) > 1 {
		b.Initramfs = kernel[1]
	}
	b.Cmdline, b.RAMCmdline = s.cmdline(), s.ramCmdline()
	s.checkKernel(kernel)

	if s.ownDisk() {
		b.Layers = append(b.Layers, from(s.seed(), "layer"))
	}
	efi := s.efi("efi", kernel, b.Cmdline)
	boot := s.boot(kernel, efi)
	root := s.root(roles("layer", b.Layers))
	data := ""
	if o.Recipe.Recipe.Disk.Data != nil && !s.ownDisk() {
		data = s.data()
	}
	disk := s.disk(boot, root, data)
	s.budgets(root, disk)
	scrub := s.scrub(disk, s.checks)
	s.proof(scrub)
	s.audit(scrub)
	s.parts(b, map[output.Part]func() builder.Input{
		output.EFI:    func() builder.Input { return from(efi, "program") },
		output.RAM:    func() builder.Input { return from(s.ram(kernel, b.Layers), "initramfs") },
		output.RAMEFI: func() builder.Input { return from(s.ramEFI(b, kernel), "program") },
		output.ISO:    func() builder.Input { return from(s.iso(b, kernel), "image") },
	})
	if s.err != nil {
		return nil, s.err
	}
	if err := s.checkTools(); err != nil {
		return nil, err
	}
	delivery := s.delivery(b)
	targets := slices.Concat([]string{StageScrub}, delivery.Gates, delivery.From[1:])
	if s.has(StageClasses) {
		targets = append(targets, StageClasses)
	}
	plan, err := builder.NewPlan(s.stages, targets)
	if err != nil {
		return nil, err
	}
	b.Plan, err = plan.Deliver(delivery)
	return b, err
}

// Runners returns the runner of each kind of stage.
func (o Options) Runners() map[string]builder.Runner {
	runners := map[string]builder.Runner{}
	for kind, run := range map[string]builder.RunnerFunc{
		kindPackages:      o.fetchPackages,
		kindImage:         o.fetchImage,
		kindApp:           o.collectApp,
		kindReferences:    o.readReferences,
		kindModules:       o.findModules,
		kindJRE:           o.linkJRE,
		kindSkeleton:      o.layOut,
		kindImageSkeleton: o.layOutOnImage,
		kindFolder:        o.packFolder,
		kindTrain:         o.trainClasses,
		kindPinned:        o.pinnedClasses,
		kindArchive:       o.dumpArchive,
		kindCheck:         o.checkArchive,
		kindUniversal:     o.buildKernel,
		kindPackaged:      o.unpackKernel,
		kindOwnKernel:     o.takeKernel,
		kindEFI:           o.makeEFI,
		kindParavirtual:   o.packParavirtual,
		kindBoot:          o.makeBoot,
		kindRoot:          o.makeRoot,
		kindRAM:           o.makeRAM,
		kindISO:           o.makeISO,
		kindData:          o.makeData,
		kindSeed:          o.makeSeed,
		kindDisk:          o.makeDisk,
		kindScrub:         o.scrubDisk,
		kindProof:         o.proveDisk,
		kindKernelCheck:   o.compareKernel,
		kindBudgets:       o.compareBudgets,
		kindAudit:         o.auditDisk,
	} {
		runners[kind] = run
	}
	return runners
}

// delivery says what the outputs are made of, the scrubbed disk first, and what
// must pass before they have their names: the judges of the disk, and every
// other stage that nothing else needs.
func (s *set) delivery(b *Build) builder.Delivery {
	d := builder.Delivery{From: []string{StageScrub}, Gates: append([]string{StageProof, StageAudit}, s.targets...)}
	var formats []string
	for _, o := range s.Recipe.Recipe.Outputs {
		formats = append(formats, o.Format)
	}
	d.Title = "write " + strings.Join(formats, ", ")
	inputs := slices.Concat(b.Layers, b.Legal, []builder.Input{b.Kernel})
	for _, part := range slices.Sorted(maps.Keys(b.Parts)) {
		inputs = append(inputs, b.Parts[part])
	}
	for _, in := range inputs {
		if !slices.Contains(d.From, in.Stage) {
			d.From = append(d.From, in.Stage)
		}
	}
	return d
}

// tree adds the stages that make the layers of the root.
func (s *set) tree(b *Build) {
	runtime := s.Recipe.Recipe.Runtime
	app := s.app()
	appLayer := from(app, "layer")
	switch {
	case runtime.JVM != nil:
		s.javaTree(b, app, appLayer)
	case runtime.OCI != nil:
		image := s.container(runtime.OCI.Image)
		b.Layers = []builder.Input{from(image, "layer"), from(s.skeletonOn(image), "layer"), appLayer}
	default:
		command := append([]string{binaryPath(s.Recipe.Recipe.App.Binary)}, s.Recipe.Recipe.App.Args...)
		b.Layers = []builder.Input{from(s.skeleton(command, ""), "layer"), appLayer}
	}
}

// javaTree adds the stages of a Java app: the trimmed runtime and the archive
// of its classes.
func (s *set) javaTree(b *Build, app string, appLayer builder.Input) {
	jvm := s.Recipe.Recipe.Runtime.JVM
	jdk := s.jdk()
	modules := s.modules(jdk, app)
	jre := s.jre(jdk, modules)
	command := slices.Concat([]string{guestJRE + "/bin/java"},
		dataSharing(jvm.CDS.Mode), fitted(&s.Recipe.Recipe), jvm.Options)
	skeleton := s.skeleton(command, app)

	b.Layers = []builder.Input{from(skeleton, "layer"), from(jre, "libs"), from(jre, "layer"), appLayer}
	b.Legal = []builder.Input{from(jre, "legal")}
	if jvm.CDS.Mode == "off" {
		return
	}
	config := from(skeleton, "config")
	stack := append(roles("layer", b.Layers), config)
	classes := from(jre, "classlist")
	if jvm.CDS.Mode == "app" {
		classes = from(s.classes(stack), "classes")
	}
	b.Layers = append(b.Layers, from(s.archive(stack, classes), "layer"))
	s.checks = append(s.checks, s.check(roles("layer", b.Layers), config))
}

// jdk returns the inputs that hold the JDK, with the roles jdk/….
func (s *set) jdk() []builder.Input {
	switch jdk := s.Recipe.Recipe.Runtime.JVM.JDK; {
	case jdk.OCI != "":
		return []builder.Input{{Role: "jdk/000", Stage: s.container(jdk.OCI), Output: "layer"}}
	case jdk.Path != "":
		// A JDK that came without a package brings no C library with it.
		return append(s.packages(groupJavaLibraries, "jdk"),
			builder.Input{Role: "jdk/own", Stage: s.folder(jdk.Path, "/opt/jdk"), Output: "layer"})
	default:
		return s.packages(jdk.Package, "jdk")
	}
}

// from names an output of a stage; its role is given by who uses it.
func from(stage, name string) builder.Input {
	return builder.Input{Role: name, Stage: stage, Output: name}
}

// roles gives inputs the roles prefix/000, prefix/001 and so on.
func roles(prefix string, inputs []builder.Input) []builder.Input {
	out := slices.Clone(inputs)
	for i := range out {
		out[i].Role = fmt.Sprintf("%s/%03d", prefix, i)
	}
	return out
}

// TrainingKey identifies what a class list was made for: the runtime, the
// app's files and how they are run. A list for another key may still be used,
// but names the wrong classes. Where the recipe lies is not part of it: the lock
// goes with the recipe.
func (o Options) TrainingKey() string {
	r := o.Recipe.Portable()
	var parts []any
	parts = append(parts, r.Runtime, r.App, r.Files)
	for _, group := range slices.Sorted(maps.Keys(o.Lock.Packages)) {
		if group == r.Runtime.JVM.JDK.Package || isAppGroup(&r, group) {
			parts = append(parts, o.Lock.Packages[group])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Lock.Files)) {
		parts = append(parts, name, o.Lock.Files[name].SHA256)
	}
	return digest.FromBytes(canonical(parts)).String()
}

func isAppGroup(r *recipes.Recipe, group string) bool {
	for _, p := range r.App.Packages {
		if packageGroup(p) == group {
			return true
		}
	}
	return false
}
