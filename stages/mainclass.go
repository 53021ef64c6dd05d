package stages

import (
	"fmt"
	"os"
	"path"

	"github.com/imgbuild/imgbuild/fault"
)

// findMain finds the class to start, and that it is there.
func (c *collector) findMain() error {
	if len(c.classPath) == 0 {
		return nil
	}
	c.main = c.p.Main
	first := c.jars[c.classPath[0]]
	if c.main == "" {
		f, size, err := openSized(first)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := readJar(c.classPath[0], f, size)
		if err != nil {
			return err
		}
		if c.main = info.Main; c.main == "" {
			return errNoMain(path.Base(c.classPath[0]))
		}
	}
	for _, guest := range c.classPath {
		f, size, err := openSized(c.jars[guest])
		if err != nil {
			return err
		}
		ok, err := hasClass(f, size, c.main)
		f.Close()
		if err != nil {
			return fmt.Errorf("reading %s: %w", guest, err)
		}
		if ok {
			return nil
		}
	}
	return fault.New(fault.Input, fmt.Errorf("the main class %s is nowhere on the class path", c.main),
		"correct app.main, or add the jar that holds it to app.classPath")
}

func openSized(name string) (*os.File, int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}
