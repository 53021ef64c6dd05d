package recipes

import _ "embed"

//go:generate go test -run "TestSchemaIsCurrent|TestReferenceIsCurrent" -update .

//go:embed imgbuild.schema.json
var schemaJSON []byte

// Schema returns the JSON Schema of recipes, for editors. It accepts every
// recipe that [Parse] accepts, and rejects what a schema can reject.
func Schema() []byte { return append([]byte(nil), schemaJSON...) }
