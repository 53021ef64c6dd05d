package stages

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/kernel/guest"
	"github.com/imgbuild/imgbuild/kernel/init/config"
	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/stages/files"
	"github.com/opencontainers/go-digest"
)

const kindSkeleton = "skeleton"

// skeletonParams describe what every guest has: init and its configuration,
// the users, the mount points. The command ends with the class path, the main
// class and the arguments when a class path is an input.
type skeletonParams struct {
	Guest config.Guest `json:"guest"`
	User  string       `json:"user"`
	Main  string       `json:"main,omitempty"`
	Args  []string     `json:"args,omitempty"`
	Init  string       `json:"init"` // digest of the program
	Epoch int64        `json:"epoch"`
}

// skeleton adds the stage that makes the lowest layer.
func (s *set) skeleton(command []string, classPath string) string {
	r := s.Recipe.Recipe
	p := skeletonParams{
		Guest: s.guestConfig(command),
		User:  r.App.User,
		Init:  s.initDigest(),
		Epoch: s.Epoch.Unix(),
	}
	st := builder.Stage{
		Name:    StageConfig,
		Title:   "lay out the root",
		Kind:    kindSkeleton,
		Version: 1,
	}
	if classPath != "" {
		p.Args = r.App.Args
		p.Main = r.App.Main
		st.Inputs = []builder.Input{
			{Role: "classpath", Stage: classPath, Output: "classpath"},
			{Role: "main", Stage: classPath, Output: "main"},
		}
	}
	return s.add(st, p)
}

// guestConfig is init's configuration, but for what only a stage can know.
func (s *set) guestConfig(command []string) config.Guest {
	r := s.Recipe.Recipe
	g := config.Guest{
		Hostname: r.Guest.Hostname,
		Timezone: r.Guest.Timezone,
		App: config.App{
			Command: command,
			Dir:     r.App.WorkDir,
			UID:     r.App.UID,
			GID:     r.App.GID,
		},
		Network: config.Network{
			Mode: r.Network.Mode, Address: r.Network.Address,
			Gateway: r.Network.Gateway, DNS: r.Network.DNS,
		},
		Sysctl:      r.Guest.Sysctl,
		Restart:     r.Guest.Restart,
		MaxRestarts: r.Guest.MaxRestarts,
		OnExit:      r.Guest.OnExit,
		StopTimeout: int(time.Duration(r.Guest.StopTimeout).Seconds()),
	}
	for _, k := range slices.Sorted(maps.Keys(r.App.Env)) {
		g.App.Env = append(g.App.Env, k+"="+r.App.Env[k])
	}
	g.Properties = properties(&g.App, r.OVF.Properties)
	for _, t := range r.Guest.Tmpfs {
		g.Mounts = append(g.Mounts, config.Mount{Source: "tmpfs", Path: t.Path, Type: "tmpfs",
			Size: int64(t.Size), Mode: 0o755, UID: r.App.UID, GID: r.App.GID})
	}
	if d := r.Disk.Data; d != nil {
		m := config.Mount{
			Source: "PARTUUID=" + strings.ToLower(s.guid("data").String()),
			Path:   d.Mount, Type: d.Filesystem, Mode: 0o755, UID: r.App.UID, GID: r.App.GID, Grow: true}
		if s.ownDisk() {
			m.Source, m.Seed = "disk", config.SeedPath
		}
		g.Mounts = append(g.Mounts, m)
	}
	return g
}

// properties tells init where the answers to the recipe's properties go, and
// puts the defaults there.
func properties(app *config.App, asked []recipes.Property) []config.Property {
	var list []config.Property
	var defined []string
	for _, p := range asked {
		list = append(list, config.Property{Key: p.Key, Value: p.Value, Env: p.Env, SystemProperty: p.SystemProperty, Network: p.Network})
		if p.Value != "" && p.Env != "" {
			app.Env = append(app.Env, p.Env+"="+p.Value)
		}
		if p.Value != "" && p.SystemProperty != "" {
			defined = append(defined, "-D"+p.SystemProperty+"="+p.Value)
		}
	}
	if len(defined) > 0 {
		app.Command = slices.Concat(app.Command[:1], defined, app.Command[1:])
	}
	return list
}

// layOut is the runner.
func (o Options) layOut(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[skeletonParams](w)
	if err != nil {
		return nil, err
	}
	if _, ok := w.Inputs["classpath"]; ok {
		if err := p.complete(ctx, w); err != nil {
			return nil, err
		}
	}
	return writeSkeleton(ctx, w, p, func(init, conf []byte) []files.Entry { return skeletonEntries(p, init, conf) })
}

// writeSkeleton stores the layer, and init's configuration once more beside it
// for stages that run the app.
func writeSkeleton(ctx context.Context, w *builder.Work, p skeletonParams, entries func(init, conf []byte) []files.Entry) (builder.Outputs, error) {
	init, err := guest.Init()
	if err != nil {
		return nil, err
	}
	if got := digest.FromBytes(init).String(); got != p.Init {
		return nil, fmt.Errorf("the guest's init is %s, planned was %s", got, p.Init)
	}
	text, err := json.MarshalIndent(p.Guest, "", "  ")
	if err != nil {
		return nil, err
	}
	layer, err := put(ctx, w.Store, mediaTypeLayer, func(out io.Writer) error {
		return files.Layer(ctx, out, entries(init, text), epochTime(p.Epoch))
	})
	if err != nil {
		return nil, err
	}
	conf, err := putBytes(ctx, w.Store, text, mediaTypeJSON)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"layer": layer, "config": conf}, nil
}

// initDigest is the digest of the guest's init, which is part of keys.
func (s *set) initDigest() string {
	init, err := guest.Init()
	s.fail(err)
	return digest.FromBytes(init).String()
}

// readGuest reads init's configuration, for stages that run the app.
func readGuest(ctx context.Context, w *builder.Work) (config.Guest, error) {
	var g config.Guest
	text, err := readInput(ctx, w, "config")
	if err != nil {
		return g, err
	}
	if err := json.Unmarshal(text, &g); err != nil {
		return g, fmt.Errorf("reading the guest's configuration: %w", err)
	}
	return g, nil
}

// complete adds to the command what the app's layer says.
func (p *skeletonParams) complete(ctx context.Context, w *builder.Work) error {
	list, err := readInput(ctx, w, "classpath")
	if err != nil {
		return err
	}
	if p.Main == "" {
		main, err := readInput(ctx, w, "main")
		if err != nil {
			return err
		}
		p.Main = strings.TrimSpace(string(main))
	}
	cmd := append(p.Guest.App.Command, "-cp", strings.Join(strings.Fields(string(list)), ":"), p.Main)
	p.Guest.App.Command = append(cmd, p.Args...)
	return nil
}

// skeletonEntries are the files of the lowest layer.
func skeletonEntries(p skeletonParams, init, conf []byte) []files.Entry {
	text := func(path, content string) files.Entry {
		return files.Entry{Path: path, Mode: 0o644, Content: files.Bytes([]byte(content))}
	}
	account := func(name string, uid, gid int, home string) string {
		return fmt.Sprintf("%s:x:%d:%d::%s:/sbin/nologin\n", name, uid, gid, home)
	}
	entries := []files.Entry{
		{Path: "/init", Mode: 0o755, Content: files.Bytes(init)},
		{Path: "/sbin/poweroff", Link: "/init"},
		{Path: "/sbin/reboot", Link: "/init"},
		{Path: "/sbin/halt", Link: "/init"},
		{Path: config.Path, Mode: 0o644, Content: files.Bytes(conf)},
		text("/etc/passwd", account("root", 0, 0, "/")+account(p.User, p.Guest.App.UID, p.Guest.App.GID, "/tmp")),
		text("/etc/group", fmt.Sprintf("root:x:0:\n%s:x:%d:\n", p.User, p.Guest.App.GID)),
		text("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 "+p.Guest.Hostname+"\n"),
		text("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
		text("/etc/hostname", p.Guest.Hostname+"\n"),
		{Path: "/etc/resolv.conf", Link: "/run/resolv.conf"},
	}
	dirs := map[string]uint32{"/dev": 0o755, "/proc": 0o555, "/sys": 0o555, "/run": 0o755, "/tmp": 0o1777}
	for _, m := range p.Guest.Mounts {
		dirs[m.Path] = 0o755
	}
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		entries = append(entries, files.Entry{Path: dir, Dir: true, Mode: int64(dirs[dir])})
	}
	return withParents(entries)
}

// withParents adds the folders that the entries stand in.
func withParents(entries []files.Entry) []files.Entry {
	have := map[string]bool{"/": true}
	for _, e := range entries {
		have[e.Path] = true
	}
	for _, e := range entries {
		for dir := path.Dir(e.Path); !have[dir]; dir = path.Dir(dir) {
			have[dir] = true
			entries = append(entries, files.Entry{Path: dir, Dir: true, Mode: 0o755})
		}
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Path < entries[j].Path })
	return entries
}
