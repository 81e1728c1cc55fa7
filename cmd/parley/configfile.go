package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"go.yaml.in/yaml/v4"
)

// maxFile is the largest file that is read as a configuration.
const maxFile = 1 << 20

// file applies a file of YAML; "" is none.
func (l *loader) file(name string) {
	if name == "" {
		return
	}
	text, err := readFile(name)
	if err != nil {
		l.problems.add("", "", "read configuration: %v", err)
		return
	}
	l.yaml(name, text)
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is larger than %s", name, Size(maxFile))
	}
	return text, err
}

// yaml applies a YAML document. name is the file's, for messages.
func (l *loader) yaml(name string, text []byte) {
	var documents []*yaml.Node
	if err := yaml.Load(text, &documents, yaml.WithAllDocuments()); err != nil {
		l.problems.add(name, "", "is not YAML: %s", yamlMistake(err))
		return
	}
	if len(documents) > 1 {
		l.problems.add(name, "", "has %d documents: want one", len(documents))
		return
	}
	f := yamlFile{loader: l, name: name, pairs: maxPairs}
	for _, d := range documents {
		for _, root := range d.Content {
			f.section("", root)
		}
	}
}

// yamlMistake words what the parser found.
func yamlMistake(err error) string {
	var e *yaml.LoadError
	if errors.As(err, &e) {
		return fmt.Sprintf("line %d: %s", e.Mark.Line, e.Message)
	}
	return err.Error()
}
