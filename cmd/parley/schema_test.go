package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const orderSchema = `{"type":"object","required":["items"],"properties":{"items":{"type":"array","minItems":1,"items":{"$ref":"#/$defs/item"}},"a/b~c":{"type":"string"},"n":{"type":"number","multipleOf":0.01}},"$defs":{"item":{"type":"object","required":["sku"],"properties":{"sku":{"type":"string"},"quantity":{"type":"integer","minimum":1}}}}}`

// A schema says what is wrong with a payload and where, and neither a huge number nor
// deep nesting makes it work hard.
func TestSchemaFaults(t *testing.T) {
	s, err := Schema(orderSchema).compile()
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]string{
		`{"items":[{"sku":"tea"}]}`:                    `[]`,
		`{"items":[{"sku":"tea"}],"other":{"$ref":1}}`: `[]`,
		``:      `[{"pointer":"","detail":"there is no payload"}]`,
		`{`:     `[{"pointer":"","detail":"it is not JSON"}]`,
		`{} {}`: `[{"pointer":"","detail":"it is not JSON"}]`,
		`5`:     `[{"pointer":"","detail":"got number, want object"}]`,
		`{}`:    `[{"pointer":"","detail":"missing property 'items'"}]`,
		`{"items":[{"sku":"tea","quantity":0},{"sku":5}]}`:    `[{"pointer":"/items/0/quantity","detail":"minimum: got 0, want 1"},{"pointer":"/items/1/sku","detail":"got number, want string"}]`,
		`{"items":[{"sku":"tea"}],"a/b~c":1}`:                 `[{"pointer":"/a~1b~0c","detail":"got number, want string"}]`,
		`{"items":[{"sku":"tea"}],"n":1e999999}`:              `[{"pointer":"/n","detail":"a number must be within ±1e308, and values nest at most 64 deep"}]`,
		`{"items":[{"sku":"tea"}],"n":1e-999999}`:             `[{"pointer":"/n","detail":"a number must be within ±1e308, and values nest at most 64 deep"}]`,
		`{"items":[{"sku":"tea"}],"n":0.07}`:                  `[]`,
		strings.Repeat("[", 5000) + strings.Repeat("]", 5000): `[{"pointer":"` + strings.Repeat("/0", 65) + `","detail":"a number must be within ±1e308, and values nest at most 64 deep"}]`,
		`{"items":[` + strings.Repeat(`0,`, 5000) + `0]}`:     ``,
	} {
		faults := s.faults([]byte(body))
		if len(faults) > maxFaults {
			t.Errorf("%s: %d faults", body[:20], len(faults))
		}
		got, _ := json.Marshal(faults)
		if string(got) == "null" {
			got = []byte("[]")
		}
		if want != "" && string(got) != want {
			t.Errorf("%.80s: got %s, want %s", body, got, want)
		}
	}
}

// Whatever a client sends, there is an answer, and not a long one.
func FuzzSchemaFaults(f *testing.F) {
	s, err := Schema(orderSchema).compile()
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"items":[{"sku":"tea","quantity":1e400}]}`))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, fault := range s.faults(body) {
			if len(fault.Detail) > maxDetail+8 || len(fault.Pointer) > 2*maxDetail {
				t.Errorf("%q", fault)
			}
		}
	})
}

// Schemas are written in the configuration or stand in files, as JSON or YAML, and
// what is no schema is a mistake of the key's.
func TestSchemaConfig(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct{ written, mistake string }{
		{"request: {type: object, properties: {n: {type: integer}}}", ""},
		{`request: '{"type":"object"}'`, ""},
		{"request: " + file("a.json", orderSchema), ""},
		{"reply: " + file("a.yaml", "type: object\nrequired: [n]\n"), ""},
		{"request: {}", ""},
		{"request: /nowhere/x.json", `"/nowhere/x.json" is not a JSON Schema: open /nowhere/x.json: no such file or directory`},
		{"request: {type: objekt}", `services.orders.schema.request: "{\"type\":\"objekt\"}" is not a JSON Schema: /type: `},
		{"reply: {$ref: 'https://example.com/x'}", `services.orders.schema.reply: "{\"$ref\":\"https://example.com/x\"}" is not a JSON Schema: $ref "https://example.com/x" leads elsewhere`},
		{"request: {$ref: '#/$defs/none'}", "is not a JSON Schema: "},
		{"request: {pattern: '('}", "is not a JSON Schema: "},
		{"reqest: {}", `services.orders.schema.reqest: is not a key: did you mean services.orders.schema.request?`},
		{"request: [1]", "services.orders.schema.request: is a list: want a JSON Schema, or the name of its file"},
	} {
		config, bad := loadYAML("services:\n  orders:\n    schema:\n      " + c.written + "\n")
		config.complete()
		bad = append(bad, config.check(nil)...)
		switch err := bad.errOrNil(); {
		case err == nil && c.mistake != "":
			t.Errorf("%s: no mistake", c.written)
		case err != nil && (c.mistake == "" || !strings.Contains(err.Error(), c.mistake)):
			t.Errorf("%s: got %v, want %s", c.written, err, c.mistake)
		}
	}
}
