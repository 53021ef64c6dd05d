package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/kernel/init/config"
)

// maxFiles is how many files the app may have open, both limits. It is the
// most that fs.nr_open allows by default.
const maxFiles = 1 << 20

// raiseLimits lifts what the app inherits from init.
func raiseLimits() error {
	limit := unix.Rlimit{Cur: maxFiles, Max: maxFiles}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raising the limit of open files to %d: %w", maxFiles, err)
	}
	return nil
}

// launch starts the app: in a session of its own, as its user and in no other
// group, with nothing to read, and with no way to more rights.
func launch(app config.App, env []string) (pid int, err error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, fmt.Errorf("starting %s: %w", app.Command[0], err)
	}
	defer null.Close()
	out, err := os.OpenFile("/dev/console", os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		// A guest without any console still runs.
		if out, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0); err != nil {
			return 0, fmt.Errorf("starting %s: %w", app.Command[0], err)
		}
	} else {
		// An app that opens /dev/stdout anew needs the right to.
		_ = out.Chown(app.UID, app.GID)
	}
	defer out.Close()
	attr := &syscall.ProcAttr{
		Dir:   app.Dir,
		Env:   env,
		Files: []uintptr{null.Fd(), out.Fd(), out.Fd()},
		Sys: &syscall.SysProcAttr{
			Setsid:     true,
			Credential: &syscall.Credential{Uid: uint32(app.UID), Gid: uint32(app.GID)},
		},
	}
	// What is given up here is a matter of the thread and inherited by the
	// child. The thread is not used for anything else: it ends with the
	// goroutine, which stays locked to it.
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err = giveUp(); err == nil {
			pid, err = syscall.ForkExec(app.Command[0], app.Command, attr)
		}
	}()
	<-done
	if err != nil {
		return 0, fmt.Errorf("starting %s: %w", app.Command[0], err)
	}
	return pid, nil
}

// giveUp makes the thread's children unable to gain capabilities, be they root
// or not (capabilities(7), "Transformation of capabilities during execve").
func giveUp() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("giving up new privileges: %w", err)
	}
	for c := uintptr(0); ; c++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err == unix.EINVAL {
			return nil // behind the last capability that this kernel has
		} else if err != nil {
			return fmt.Errorf("giving up capability %d: %w", c, err)
		}
	}
}

// environment returns the app's environment: what guest.json sets, over what
// every program may expect. The passwd is the text of /etc/passwd.
func environment(g *config.Guest, passwd string) []string {
	tz := g.Timezone
	if tz == "" {
		tz = "UTC"
	}
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + home(passwd, g.App.UID),
		"LANG=C.UTF-8",
		"TZ=" + tz,
	}
	for _, own := range g.App.Env {
		name, _, _ := strings.Cut(own, "=")
		for i, kv := range env {
			if strings.HasPrefix(kv, name+"=") {
				env = append(env[:i], env[i+1:]...)
				break
			}
		}
		env = append(env, own)
	}
	return env
}

// home returns the home directory of a user (passwd(5)); "/" when there is
// none.
func home(passwd string, uid int) string {
	for line := range strings.Lines(passwd) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) >= 6 && fields[2] == strconv.Itoa(uid) && strings.HasPrefix(fields[5], "/") {
			return fields[5]
		}
	}
	return "/"
}
