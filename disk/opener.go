package disk

// Opener opens another file that an image builds on, or consists of, by the
// name that it has there. format is the name of a container format, "raw" for
// the bytes of the file as they are, or empty to tell by the content. What is
// opened stays open as long as the image.
//
// Names in images are foreign: an Opener decides which it follows.
type Opener func(name, format string) (Reader, error)
