package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"parley/kafka"
)

// Conditions are named CEL conditions over events, written as a JSON object of texts;
// "" for none.
type Conditions string

// isConditions answers whether the setting holds conditions.
func (s setting) isConditions() bool { return s.typ == reflect.TypeFor[Conditions]() }

// maxConditions bounds how many a service has.
const maxConditions = 64

// compile reads conditions and makes them ready for use.
func (c Conditions) compile() (map[string]*kafka.Condition, error) {
	if c == "" {
		return nil, nil
	}
	var texts map[string]string
	from := json.NewDecoder(bytes.NewReader([]byte(c)))
	if err := from.Decode(&texts); err != nil || from.More() {
		return nil, errors.New("want names and expressions, as a JSON object of texts")
	}
	if len(texts) > maxConditions {
		return nil, fmt.Errorf("there are %d: want at most %d", len(texts), maxConditions)
	}
	all := make(map[string]*kafka.Condition)
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if name == "" || len(name) > maxName || strings.Trim(name, nameRunes) != "" {
			wrong = append(wrong, fmt.Errorf("%q is not a name: want 1 to %d of a-z, A-Z, 0-9, '.', '_' and '-'", name, maxName))
		}
		condition, err := kafka.CompileCondition(texts[name])
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", name, err))
		}
		all[name] = condition
	}
	return all, errors.Join(wrong...)
}

// view wants a topic where there is something to be asked of its events, and conditions
// that can be asked.
func (k *checker) view(key string, v ViewConfig) {
	switch {
	case v.Topic != "":
		k.topic(key+"topic", v.Topic)
	case v.Until != "":
		k.missing(key+"topic", "want the topic whose events answer")
	}
	if _, err := v.Until.compile(); err != nil {
		k.bad(key+"until", v.Until, "has a mistake: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}
