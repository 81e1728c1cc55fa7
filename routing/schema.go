package routing

import (
	"encoding/json"
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
// Pointer that begins with #. It answers a schema that allows anything where there
// is none.
func (s Schema) At(pointer string) json.RawMessage {
	var root any
	if len(s) == 0 || json.Unmarshal(s, &root) != nil {
		return json.RawMessage("{}")
	}
	if top, ok := root.(map[string]any); ok {
		delete(top, "$schema") // the document's own says it
		delete(top, "$id")
	}
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
	switch node := node.(type) {
	case []any:
		for _, below := range node {
			EachSchemaRef(below, change)
		}
	case map[string]any:
		for key, below := range node {
			switch ref, isText := below.(string); {
			case key == "$ref" && isText:
				node[key] = change(ref)
			case key == "const" || key == "enum" || key == "default" || key == "examples":
			default:
				EachSchemaRef(below, change)
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
