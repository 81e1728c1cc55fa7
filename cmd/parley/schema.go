package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"parley/routing"
)

// schema is a JSON Schema that payloads can be held against. The zero value is none.
type schema struct {
	text     routing.Schema
	compiled *jsonschema.Schema
}

// alone is a loader of a compiler whose schemas refer to nothing else: a node
// neither opens files nor calls anybody for a schema's sake.
type alone struct{}

func (alone) Load(url string) (any, error) {
	return nil, errors.New("it must stand by itself")
}

// schemaName is what the compiler calls a schema; it appears in no message.
const schemaName = "schema:payload"

// compile reads a schema and makes it ready for use.
func (s Schema) compile() (schema, error) {
	if s == "" {
		return schema{}, nil
	}
	text, err := s.text()
	if err != nil {
		return schema{}, err
	}
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return schema{}, fmt.Errorf("it is not JSON: %w", err)
	}
	var elsewhere string
	routing.EachSchemaRef(root, func(ref string) string {
		if ref != "#" && !strings.HasPrefix(ref, "#/") {
			elsewhere = ref
		}
		return ref
	})
	if elsewhere != "" {
		return schema{}, fmt.Errorf("$ref %q leads elsewhere: want # or #/…, since a schema stands by itself", elsewhere)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(alone{})
	if err := c.AddResource(schemaName, root); err != nil {
		return schema{}, err
	}
	compiled, err := c.Compile(schemaName)
	if err != nil {
		return schema{}, schemaMistake(err)
	}
	return schema{text, compiled}, nil
}

// schemaMistake words why a schema does not compile: what is wrong with it, and where.
func schemaMistake(err error) error {
	var against *jsonschema.SchemaValidationError
	if errors.As(err, &against) {
		err = against.Err
	}
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		if faults := leaves(invalid, nil); len(faults) > 0 {
			return fmt.Errorf("%s: %s", faults[0].Pointer, faults[0].Detail)
		}
	}
	return errors.New(strings.ReplaceAll(err.Error(), schemaName, ""))
}

// check answers what routing.Service.Check is to be.
func (s schema) check() func([]byte) []routing.Fault {
	if s.compiled == nil {
		return nil
	}
	return s.faults
}

// faults answers what is wrong with a payload.
func (s schema) faults(body []byte) []routing.Fault {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if len(body) == 0 {
		return []routing.Fault{{Detail: "there is no payload"}}
	}
	if err != nil {
		return []routing.Fault{{Detail: "it is not JSON"}}
	}
	if at, ok := tooMuch(value, "", 0); ok {
		return []routing.Fault{{Pointer: at, Detail: fmt.Sprintf("a number must be within ±1e%d, and values nest at most %d deep", maxExponent, maxDepth)}}
	}
	err = s.compiled.Validate(value)
	var invalid *jsonschema.ValidationError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid):
		return leaves(invalid, nil)
	}
	return []routing.Fault{{Detail: "it cannot be held against the schema"}}
}

const (
	maxFaults   = 16  // that a client is told of
	maxDetail   = 200 // bytes of one
	maxDepth    = 64
	maxExponent = 308
)

// tooMuch finds what would cost too much to look at: the validator computes with
// numbers of any size, exactly.
func tooMuch(value any, at string, depth int) (pointer string, found bool) {
	if depth > maxDepth {
		return at, true
	}
	switch value := value.(type) {
	case json.Number:
		n, err := value.Float64()
		_, exponent, scientific := strings.Cut(strings.ToLower(string(value)), "e")
		small, _ := strconv.Atoi(exponent)
		return at, err != nil || math.IsInf(n, 0) || scientific && small < -maxExponent || len(value) > 2*maxExponent
	case []any:
		for i, below := range value {
			if pointer, found = tooMuch(below, at+"/"+strconv.Itoa(i), depth+1); found {
				return pointer, true
			}
		}
	case map[string]any:
		for name, below := range value {
			if pointer, found = tooMuch(below, at+"/"+escapePointer(name), depth+1); found {
				return pointer, true
			}
		}
	}
	return "", false
}

var english = message.NewPrinter(language.English)

// leaves collects the innermost reasons of a failure.
func leaves(e *jsonschema.ValidationError, found []routing.Fault) []routing.Fault {
	if len(e.Causes) == 0 && len(found) < maxFaults {
		var at strings.Builder
		for _, token := range e.InstanceLocation {
			at.WriteString("/" + escapePointer(token))
		}
		return append(found, routing.Fault{Pointer: clipText(at.String()), Detail: clipText(e.ErrorKind.LocalizedString(english))})
	}
	for _, cause := range e.Causes {
		found = leaves(cause, found)
	}
	return found
}

func clipText(s string) string {
	if len(s) > maxDetail {
		return strings.ToValidUTF8(s[:maxDetail], "") + "…"
	}
	return s
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// escapePointer writes a name as a token of a JSON Pointer.
func escapePointer(name string) string { return pointerEscapes.Replace(name) }
