package stages

import (
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/stages/files"
)

// takeClassPath takes jars and folders, and checks that jars are jars.
func (c *collector) takeClassPath() error {
	c.jars = map[string]string{}
	for _, entry := range c.p.ClassPath {
		if entry.Local != nil {
			if err := c.takeLocalJar(*entry.Local); err != nil {
				return err
			}
			continue
		}
		if err := c.takePackageJars(entry.Pattern); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) takeLocalJar(f localFile) error {
	host, err := c.verified(f)
	if err != nil {
		return err
	}
	info, err := os.Stat(host)
	if err != nil {
		return err
	}
	guest := path.Join(guestApp, path.Base(f.Path))
	if info.IsDir() {
		// The JVM archives classes from jars alone, so a folder becomes one.
		guest += ".jar"
		packed := filepath.Join(c.w.Dir, path.Base(guest))
		if err := packJar(host, packed); err != nil {
			return fmt.Errorf("packing %s: %w", f.Path, err)
		}
		host = packed
	} else if err := checkJar(f.Path, host); err != nil {
		return err
	}
	if c.seen[guest] {
		return fault.New(fault.Recipe, fmt.Errorf("app.classPath names two files called %s", path.Base(guest)), "rename one of them")
	}
	c.add(files.Entry{Path: guest, Mode: 0o644, Source: host})
	c.jars[guest] = host
	c.classPath = append(c.classPath, guest)
	return nil
}

func checkJar(name, host string) error {
	f, size, err := openSized(host)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = readJar(name, f, size)
	return err
}

// takePackageJars takes the jars that a pattern matches in any of the packages.
func (c *collector) takePackageJars(pattern string) error {
	found := false
	for i := range c.Recipe.Recipe.App.Packages {
		tree, err := c.packageTree(i)
		if err != nil {
			return err
		}
		matches, err := files.Match(tree, pattern)
		if err != nil {
			return err
		}
		for _, m := range matches {
			ok, err := path.Match(pattern, m.Path)
			if err != nil {
				return err
			}
			if !ok {
				continue // the target of a link that matched
			}
			found = true
			if c.jars[m.Path] == "" {
				c.jars[m.Path] = filepath.Join(tree, m.Path)
				c.classPath = append(c.classPath, m.Path)
			}
		}
		c.add(matches...)
		if found {
			return nil
		}
	}
	return fault.New(fault.Input, fmt.Errorf("app.classPath: no file of the packages matches %s", pattern),
		"a path that begins with / is looked for inside app.packages")
}
