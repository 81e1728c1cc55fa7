package routing

import "testing"

// A schema becomes part of a document: its references lead to where it stands there,
// those of properties that are named as keywords too. An example or a constant that
// holds one is left out, for readers of the document would follow it.
func TestSchemaAt(t *testing.T) {
	for from, want := range map[string]string{
		``:     `{}`,
		`true`: `true`,
		`{"$schema":"x","$id":"y","items":{"$ref":"#"}}`:                                     `{"items":{"$ref":"#/at"}}`,
		`{"properties":{"const":{"$ref":"#/$defs/a"},"examples":{"$ref":"#/$defs/a"}}}`:      `{"properties":{"const":{"$ref":"#/at/$defs/a"},"examples":{"$ref":"#/at/$defs/a"}}}`,
		`{"$defs":{"properties":{"anyOf":[{"$ref":"#/$defs/a"}]}}}`:                          `{"$defs":{"properties":{"anyOf":[{"$ref":"#/at/$defs/a"}]}}}`,
		`{"const":{"$ref":"#/left"},"default":{"$ref":"#/left"},"enum":[{"$ref":"#/left"}]}`: `{}`,
		`{"examples":[{"a":[{"$ref":"#/nowhere"}]},{"$ref":7},{"b":1}]}`:                     `{"examples":[{"b":1}]}`,
		`{"properties":{"a":{"examples":[{"$ref":"#/nowhere"}]}}}`:                           `{"properties":{"a":{}}}`,
		`{"properties":{"$ref":{"type":"string"}}}`:                                          `{"properties":{"$ref":{"type":"string"}}}`,
	} {
		if got := string(Schema(from).At("#/at")); got != want {
			t.Errorf("%s\nbecomes %s\nand not %s", from, got, want)
		}
	}
}
