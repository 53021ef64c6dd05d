package keep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/imgbuild/imgbuild/fault"
)

// The files of the console, the older one first.
const (
	olderLog = "console.1.log"
	logFile  = "console.log"
)

// maxLog is how many bytes a file of the console has at most; a full one takes
// the place of the older one.
const maxLog = 8 << 20

// consoleLog keeps the last bytes of a console.
type consoleLog struct {
	dir string
	f   *os.File
	n   int64
}

func openLog(dir string) (*consoleLog, error) {
	l := &consoleLog{dir: dir}
	return l, l.open()
}

func (l *consoleLog) open() error {
	f, err := os.OpenFile(filepath.Join(l.dir, logFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fault.New(fault.Environment, fmt.Errorf("opening the log of a machine: %w", err))
	}
	l.f, l.n = f, 0
	return nil
}

// Write appends to the log. It is called by one goroutine.
func (l *consoleLog) Write(b []byte) (int, error) {
	if l.n+int64(len(b)) > maxLog {
		path := filepath.Join(l.dir, logFile)
		if err := errors.Join(l.f.Close(), os.Rename(path, filepath.Join(l.dir, olderLog)), l.open()); err != nil {
			return 0, err
		}
	}
	n, err := l.f.Write(b)
	l.n += int64(n)
	return n, err
}

// Close closes the log.
func (l *consoleLog) Close() error { return l.f.Close() }

// Logs writes what the guest wrote to its console. With follow, it goes on
// until the machine has ended, or ctx has.
func (m Machine) Logs(ctx context.Context, w io.Writer, follow bool) error {
	f, err := os.Open(filepath.Join(m.dir, logFile))
	if err != nil {
		return fault.New(fault.Input, fmt.Errorf("reading the log of %s: %w", m.ID, err))
	}
	defer func() { f.Close() }()
	switch older, err := os.Open(filepath.Join(m.dir, olderLog)); {
	case err == nil:
		_, err = io.Copy(w, older)
		older.Close()
		if err != nil {
			return fmt.Errorf("copying the log of %s: %w", m.ID, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.Environment, fmt.Errorf("reading the log of %s: %w", m.ID, err))
	}
	for {
		// Asked before the copy: what a machine wrote before its end is in it.
		alive, err := locked(filepath.Join(m.dir, lockFile))
		if err != nil {
			return err
		}
		next, err := m.turned(f)
		if err != nil {
			return err
		}
		if _, err := io.Copy(w, f); err != nil {
			return fmt.Errorf("copying the log of %s: %w", m.ID, err)
		}
		if next != nil {
			f.Close()
			f = next
			continue
		}
		if !follow || !alive {
			return nil
		}
		if err := sleep(ctx, look); err != nil {
			return err
		}
	}
}

// turned returns the log that has taken the place of f; nil when f is still
// the one that is written.
func (m Machine) turned(f *os.File) (*os.File, error) {
	next, err := os.Open(filepath.Join(m.dir, logFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // between the two names, or forgotten
	}
	if err != nil {
		return nil, fault.New(fault.Environment, fmt.Errorf("reading the log of %s: %w", m.ID, err))
	}
	a, aerr := f.Stat()
	b, berr := next.Stat()
	if aerr == nil && berr == nil && !os.SameFile(a, b) {
		return next, nil
	}
	next.Close()
	return nil, errors.Join(aerr, berr)
}
