package main

import (
	"bytes"
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
	document, err := oneDocument(text)
	if err != nil {
		l.problems.add(yamlPlace(name, err), "", "is not YAML: %s", yamlMistake(err))
		return
	}
	f := yamlFile{loader: l, name: name, pairs: maxPairs}
	for _, root := range document.Content {
		f.section("", root)
	}
}

// oneDocument parses a text of one document, or of none.
func oneDocument(text []byte) (document yaml.Node, err error) {
	in, err := yaml.NewLoader(bytes.NewReader(text))
	if err != nil {
		return document, err
	}
	if err := in.Load(&document); err != nil && err != io.EOF {
		return document, err
	}
	var second yaml.Node
	switch err := in.Load(&second); err {
	case io.EOF:
		return document, nil
	case nil:
		return document, errors.New("it has a second document: want one")
	default:
		return document, err
	}
}

// yamlPlace names the line at which the parser stopped, where it knows.
func yamlPlace(name string, err error) string {
	var e *yaml.LoadError
	if errors.As(err, &e) && e.Mark.Line > 0 {
		return fmt.Sprintf("%s:%d", name, e.Mark.Line)
	}
	return name
}

// yamlMistake words why the parser stopped.
func yamlMistake(err error) string {
	var e *yaml.LoadError
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}
