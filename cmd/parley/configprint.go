package main

import (
	"io"
	"strings"

	"go.yaml.in/yaml/v4"
)

// printConfig writes a configuration as a file that loads as the same one,
// except for its secrets, which are masked.
func printConfig(w io.Writer, c Config) error {
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, s := range settings {
		put(root, s.key, s.node(&c))
	}
	services := &yaml.Node{Kind: yaml.MappingNode}
	for _, name := range c.serviceNames() {
		service := c.Services[name]
		node := &yaml.Node{Kind: yaml.MappingNode}
		for _, s := range serviceSettings {
			put(node, s.key, s.node(&service))
		}
		services.Content = append(services.Content, textNode(name), node)
	}
	root.Content = append(root.Content, textNode("services"), services)
	out, err := yaml.NewDumper(w, yaml.WithV4Defaults(), yaml.WithLineWidth(-1))
	if err == nil {
		err = out.Dump(root)
	}
	if err == nil {
		err = out.Close()
	}
	return err
}

// put files a value in a mapping, below the sections of its dotted key.
func put(mapping *yaml.Node, key string, value *yaml.Node) {
	first, rest, below := strings.Cut(key, ".")
	if !below {
		mapping.Content = append(mapping.Content, textNode(first), value)
		return
	}
	n := len(mapping.Content)
	if n == 0 || mapping.Content[n-2].Value != first {
		mapping.Content = append(mapping.Content, textNode(first), &yaml.Node{Kind: yaml.MappingNode})
		n += 2
	}
	put(mapping.Content[n-1], rest, value)
}

// node is a setting's value as YAML.
func (s setting) node(config any) *yaml.Node {
	texts := s.texts(config)
	if s.isList() {
		list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, t := range texts {
			list.Content = append(list.Content, textNode(t))
		}
		return list
	}
	if k := s.kind(); k == "bool" || k == "number" {
		return &yaml.Node{Kind: yaml.ScalarNode, Value: texts[0]}
	}
	return textNode(texts[0])
}

// textNode is text, quoted where YAML would take it for anything else.
func textNode(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}
