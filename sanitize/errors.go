package sanitize

import "errors"

// Errors that callers branch on.
var (
	// ErrNotRecognized means that a driver's magic is not there.
	ErrNotRecognized = errors.New("not recognized")
	// ErrRefused means that the image must not be scrubbed as it is: a dirty
	// journal, an unclean log, a hibernation image.
	ErrRefused = errors.New("refused")
)
