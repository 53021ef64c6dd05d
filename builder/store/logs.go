package store

import (
	"io"
	"maps"
	"slices"

	"github.com/hashicorp/go-hclog"
	"github.com/sirupsen/logrus"
)

// RouteLogs sends what containerd's packages log to log, one level lower: what
// troubles them is for us to tell, as an error or not at all. They log through
// the one standard logger of logrus, so this is for the main function, once.
func RouteLogs(log hclog.Logger) {
	std := logrus.StandardLogger()
	std.SetOutput(io.Discard)
	std.SetLevel(logrus.InfoLevel)
	std.ReplaceHooks(logrus.LevelHooks{})
	std.AddHook(&logHook{log.Named("containerd")})
}

type logHook struct{ log hclog.Logger }

// Levels follows logrus.Hook.
func (h *logHook) Levels() []logrus.Level { return logrus.AllLevels }

// Fire follows logrus.Hook.
func (h *logHook) Fire(e *logrus.Entry) error {
	level := hclog.Trace
	switch e.Level {
	case logrus.PanicLevel, logrus.FatalLevel, logrus.ErrorLevel:
		level = hclog.Warn
	case logrus.WarnLevel:
		level = hclog.Debug
	}
	args := make([]any, 0, 2*len(e.Data))
	for _, k := range slices.Sorted(maps.Keys(e.Data)) {
		args = append(args, k, e.Data[k])
	}
	h.log.Log(level, e.Message, args...)
	return nil
}
