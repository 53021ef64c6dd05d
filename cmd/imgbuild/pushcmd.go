package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/push"
	"github.com/imgbuild/imgbuild/output/registry"
)

// registryFlags say how a registry is reached.
type registryFlags struct {
	plainHTTP     bool
	ca            string
	username      string
	passwordStdin bool
}

// pushFlags are the flags of `imgbuild push`.
type pushFlags struct {
	registryFlags
	annotations  []string
	attach       []string
	artifactType string
}

func (c *cli) pushCommand() *cobra.Command {
	var f pushFlags
	cmd := &cobra.Command{
		Use:   "push IMAGE|FILE... REFERENCE",
		Short: "Push an image, a disk or a package to a container registry",
		Long: `Push brings a container image to a registry: an OCI image layout, as a folder
or an archive, or what docker save writes. FOLDER:TAG and FILE:TAG name one of
several. Disks, OVF packages and other files become an OCI artifact, with a
type by which registries and clients know them.

With --attach, files are pushed that refer to it: an audit report, the disk
made from the same tree. The registry lists them, or a tag does where it
cannot (OCI Distribution Specification 1.1).

The tag is set when everything else is there: a push that fails leaves it as it
was. Credentials are those of docker login. Registries on the loopback need no
TLS.

Exit code 4: a file cannot be read, or is no image; 7: the registry cannot be
reached, or refuses.`,
		Example: "  imgbuild push out/hello.oci.tar registry.example.org/team/hello:1.0\n" +
			"  imgbuild push out/hello.qcow2 registry.example.org/disks/hello:1.0 --attach audit.sarif\n" +
			"  imgbuild push layout:1.0 localhost:5000/hello --annotation org.opencontainers.image.revision=a1b2c3",
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options(args)
			if err != nil {
				return err
			}
			result, err := c.push(cmd.Context(), o)
			if err != nil {
				return err
			}
			if c.json {
				return writeJSON(c.stdout, result)
			}
			fmt.Fprintln(c.stdout, result.Reference)
			for _, a := range result.Attachments {
				fmt.Fprintln(c.stdout, a.Reference)
			}
			return nil
		},
	}
	c.jsonFlag(cmd)
	f.add(cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&f.annotations, "annotation", nil, "add an annotation to the manifest: KEY=VALUE")
	flags.StringArrayVar(&f.attach, "attach", nil, "push a file that refers to it: FILE or FILE:TYPE")
	flags.StringVar(&f.artifactType, "type", "", "type of the artifact (default: told from the file)")
	return cmd
}

// add adds the flags to a verb.
func (f *registryFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.plainHTTP, "plain-http", false, "allow a registry without TLS that is not on the loopback")
	flags.StringVar(&f.ca, "ca", "", "file of certificates in PEM to trust beside the system's")
	flags.StringVar(&f.username, "username", "", "user at the registry, with --password-stdin")
	flags.BoolVar(&f.passwordStdin, "password-stdin", false, "read the password from stdin instead of taking that of docker login")
}

// push pushes with its progress on stderr.
func (c *cli) push(ctx context.Context, o push.Options) (*push.Result, error) {
	var result *push.Result
	err := c.follow("push", strings.Join(o.Paths, ", ")+" to "+o.Reference, func(tell builder.Listener) (err error) {
		o.Progress = byteProgress(tell)
		result, err = push.Run(ctx, o)
		return err
	})
	return result, err
}

// options turns the flags into options.
func (f *pushFlags) options(args []string) (push.Options, error) {
	last := len(args) - 1
	o := push.Options{Paths: args[:last], Reference: args[last], Type: f.artifactType}
	for _, text := range f.annotations {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return o, fault.New(fault.Usage, fmt.Errorf("--annotation %s: it is not KEY=VALUE", text),
				"for example --annotation org.opencontainers.image.revision=a1b2c3")
		}
		if o.Annotations == nil {
			o.Annotations = map[string]string{}
		}
		o.Annotations[key] = value
	}
	for _, text := range f.attach {
		o.Attach = append(o.Attach, push.ParseAttachment(text))
	}
	var err error
	o.Registry, err = f.registryFlags.options()
	return o, err
}

// options turns the flags into options.
func (f *registryFlags) options() (registry.Options, error) {
	o := registry.Options{PlainHTTP: f.plainHTTP, CA: f.ca, Username: f.username}
	if !f.passwordStdin {
		if f.username != "" {
			return o, fault.New(fault.Usage, errors.New("--username: its password is missing"), "give it on stdin, with --password-stdin")
		}
		return o, nil
	}
	const longest = 64 << 10
	p, err := io.ReadAll(io.LimitReader(os.Stdin, longest))
	if err != nil {
		return o, fault.New(fault.Usage, fmt.Errorf("reading the password: %w", err), "give it on stdin")
	}
	if o.Password = strings.TrimRight(string(p), "\r\n"); o.Password == "" {
		return o, fault.New(fault.Usage, errors.New("--password-stdin: stdin is empty"), "give the password on stdin")
	}
	return o, nil
}
