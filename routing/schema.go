package routing

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Schema is a JSON Schema (2020-12) of a payload, as JSON text. It stands by
// itself: a $ref in it is # or begins with #/.
type Schema []byte

// Fault is one thing that is wrong with a payload.
type Fault struct {
	Pointer string `json:"pointer"` // JSON Pointer to it in the payload, "" for all of it
	Detail  string `json:"detail"`
}

// At answers the schema as part of a larger document, where it stands under a JSON
// Pointer that begins with #, without examples and constants that hold a $ref. It
// answers a schema that allows anything where there is none.
func (s Schema) At(pointer string) json.RawMessage {
	var root any
	if len(s) == 0 || json.Unmarshal(s, &root) != nil {
		return json.RawMessage("{}")
	}
	if top, ok := root.(map[string]any); ok {
		delete(top, "$schema") // the document's own says it
		delete(top, "$id")
	}
	eachKeyword(root, dropValues)
	EachSchemaRef(root, func(ref string) string { return pointer + strings.TrimPrefix(ref, "#") })
	text, err := json.Marshal(root)
	if err != nil {
		return json.RawMessage("{}")
	}
	return text
}

// EachSchemaRef replaces every $ref of a schema, decoded from JSON, by what change
// answers. What only looks like one, within an example or a constant, is left.
func EachSchemaRef(node any, change func(ref string) string) {
	eachKeyword(node, func(schema map[string]any) {
		if ref, isText := schema["$ref"].(string); isText {
			schema["$ref"] = change(ref)
		}
	})
}

// dropValues drops what a schema says by values that hold a $ref: readers of a document
// take it for one of its own, though it points at nothing. Of examples the others stay.
func dropValues(schema map[string]any) {
	for _, keyword := range []string{"const", "enum", "default"} {
		if holdsRef(schema[keyword]) {
			delete(schema, keyword)
		}
	}
	examples, _ := schema["examples"].([]any)
	kept := slices.DeleteFunc(examples, holdsRef)
	if len(kept) == len(examples) {
		return
	}
	if schema["examples"] = kept; len(kept) == 0 {
		delete(schema, "examples")
	}
}

// holdsRef tells whether a value has a member $ref, however deep.
func holdsRef(value any) bool {
	switch value := value.(type) {
	case []any:
		return slices.ContainsFunc(value, holdsRef)
	case map[string]any:
		_, has := value["$ref"]
		return has || slices.ContainsFunc(slices.Collect(maps.Values(value)), holdsRef)
	}
	return false
}

// byName are the keywords whose members are schemas under names of their own, which
// may be those of keywords.
var byName = map[string]bool{"properties": true, "patternProperties": true, "$defs": true, "definitions": true, "dependentSchemas": true}

// eachKeyword calls do with every object in a schema whose members are keywords.
func eachKeyword(node any, do func(schema map[string]any)) {
	switch node := node.(type) {
	case []any:
		for _, below := range node {
			eachKeyword(below, do)
		}
	case map[string]any:
		do(node)
		for key, below := range node {
			named, _ := below.(map[string]any)
			switch {
			case key == "const" || key == "enum" || key == "default" || key == "examples":
			case byName[key] && named != nil:
				for _, schema := range named {
					eachKeyword(schema, do)
				}
			default:
				eachKeyword(below, do)
			}
		}
	}
}

// fits refuses a call whose body is not as its service's schema has it. A GET or
// DELETE without a body has nothing that could be wrong.
func (s *Service) fits(call *Call) *Error {
	if s.Check == nil || len(call.Body) == 0 && (call.Method == "GET" || call.Method == "DELETE") {
		return nil
	}
	faults := s.Check(call.Body)
	if len(faults) == 0 {
		return nil
	}
	where := ""
	if at := faults[0].Pointer; at != "" {
		where = at + ": "
	}
	e := refuse(InvalidParams, false, "this is not what %s takes: %s%s", s.Name, where, faults[0].Detail)
	e.Faults = &faults
	return e
}
