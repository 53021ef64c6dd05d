//go:build !linux

package disk

import (
	"errors"
	"os"
)

// Systems other than Linux are served without holes: correct, and slower.

func seekData(*os.File, int64) (int64, error) { return 0, errors.ErrUnsupported }

func seekHole(*os.File, int64) (int64, error) { return 0, errors.ErrUnsupported }

func punchHole(*os.File, int64, int64) error { return errors.ErrUnsupported }

func holesOf(*os.File, int64) Holes { return Holes{From: punchMin} }
