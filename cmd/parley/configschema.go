package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Schema is a JSON Schema, written as JSON, or the name of the file that has it,
// in JSON or YAML; "" for none.
type Schema string

// isSchema answers whether the setting holds a schema.
func (s setting) isSchema() bool { return s.typ == reflect.TypeFor[Schema]() }

// inline tells a schema from the name of a file.
func (s Schema) inline() bool { return strings.HasPrefix(strings.TrimSpace(string(s)), "{") }

// text answers the schema as JSON.
func (s Schema) text() ([]byte, error) {
	if s.inline() {
		return []byte(s), nil
	}
	text, err := readFile(string(s))
	if err != nil || json.Valid(text) {
		return text, err
	}
	document, err := oneDocument(text)
	if err != nil {
		return nil, fmt.Errorf("it is neither JSON nor YAML: %s", yamlMistake(err))
	}
	if len(document.Content) == 0 {
		return nil, errors.New("it is empty")
	}
	return asJSON(document.Content[0])
}

// json applies what is written in the file itself and kept as JSON.
func (f *yamlFile) json(key string, n *yaml.Node) {
	text, err := asJSON(n)
	if err != nil {
		f.bad(n, key, "cannot be read as JSON: %v", err)
		return
	}
	f.apply(given{from: f.at(n), key: key, text: string(text)})
}

// asJSON writes YAML as JSON. Aliases are not followed: they can stand for any
// amount of text.
func asJSON(n *yaml.Node) ([]byte, error) {
	if hasAlias(n) {
		return nil, errors.New("it has an alias, which JSON has not")
	}
	var value any
	if err := n.Decode(&value); err != nil {
		return nil, err
	}
	return json.Marshal(value)
}

func hasAlias(n *yaml.Node) bool {
	if n.Kind == yaml.AliasNode {
		return true
	}
	for _, below := range n.Content {
		if hasAlias(below) {
			return true
		}
	}
	return false
}

// schema wants a JSON Schema that stands by itself, or none.
func (k *checker) schema(key string, s Schema) {
	if _, err := s.compile(); err != nil {
		k.bad(key, s, "is not a JSON Schema: %v", err)
	}
}
