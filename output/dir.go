package output

// Dir is a folder that formats write into.
type Dir struct{}
