package main

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// yamlFile walks a document and applies what it finds.
type yamlFile struct {
	*loader
	name    string
	pairs   int    // how many more are read
	service string // the key of the service whose pairs are read, with its last dot; "" for none
}

// maxPairs bounds the pairs of a document with all its aliases followed, since
// a small one can stand for any number. Each is read twice.
const maxPairs = 20_000

// section applies what stands below a key; prefix is the key with its last dot.
// A section without any pair is as good as none.
func (f *yamlFile) section(prefix string, n *yaml.Node) {
	n = follow(n)
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		f.bad(n, strings.TrimSuffix(prefix, "."), "is %s: want %s", nodeKind(n), wantSection(prefix))
		return
	}
	// What is merged weighs less than what the mapping says itself.
	f.eachPair(n, func(name, value *yaml.Node) {
		if isMerge(name) {
			f.merge(prefix, value)
		}
	})
	seen := make(map[string]int) // lines, by name
	f.eachPair(n, func(name, value *yaml.Node) {
		switch line := seen[name.Value]; {
		case isMerge(name):
		case name.Kind != yaml.ScalarNode || isNull(name):
			f.bad(name, strings.TrimSuffix(prefix, "."), "has %s for a key: want a name", nodeKind(name))
		case line > 0:
			f.bad(name, prefix+name.Value, "is set twice: also in line %d", line)
		default:
			seen[name.Value] = name.Line
			f.pair(prefix, name, value)
		}
	})
}

// eachPair calls visit for the pairs of a mapping, until too many were read.
func (f *yamlFile) eachPair(n *yaml.Node, visit func(name, value *yaml.Node)) {
	for i := 0; i+1 < len(n.Content) && f.pairs > 0; i += 2 {
		if f.pairs--; f.pairs == 0 {
			f.bad(n, "", "has too much: want at most %d keys, aliases followed", maxPairs/2)
			return
		}
		visit(follow(n.Content[i]), n.Content[i+1])
	}
}

// merge applies the pairs of the mappings that << names. Those that follow it
// in its own mapping weigh more.
func (f *yamlFile) merge(prefix string, n *yaml.Node) {
	if n = follow(n); n.Kind != yaml.SequenceNode {
		f.section(prefix, n)
		return
	}
	for i := len(n.Content) - 1; i >= 0; i-- { // of several, the first weighs most
		f.section(prefix, n.Content[i])
	}
}

// pair applies one key and what stands behind it.
func (f *yamlFile) pair(prefix string, name, value *yaml.Node) {
	key := prefix + name.Value
	switch {
	case key+"." == servicesPrefix:
		f.section(servicesPrefix, value)
	case prefix == servicesPrefix:
		f.addService(f.at(name), name.Value)
		f.service = key + "."
		f.section(f.service, value)
		f.service = ""
	case f.service == "" && section(settings, key), f.service != "" && section(serviceSettings, strings.TrimPrefix(key, f.service)):
		f.section(key+".", value)
	default:
		s, ok := findKey(key)
		switch {
		case ok && strings.Contains(name.Value, "."):
			f.bad(name, key, "is not written like that here: want its parts one below the other")
		case ok:
			f.value(key, s, follow(value))
		default:
			f.bad(name, key, "is not a key: %s", didYouMean("", suggest(key), "want "+either(children(prefix))))
		}
	}
}

// value applies what stands behind a key that holds a value.
func (f *yamlFile) value(key string, s setting, n *yaml.Node) {
	switch {
	case isNull(n):
		f.bad(n, key, "has no value: want %s, or leave the key out for its default", s.example())
	case s.isList() && n.Kind == yaml.SequenceNode:
		if list, ok := f.list(key, n); ok {
			f.apply(given{from: f.at(n), key: key, list: list})
		}
	case (s.isSchema() || s.isRules() || s.isConditions()) && n.Kind == yaml.MappingNode:
		f.json(key, n)
	case s.isList() || n.Kind != yaml.ScalarNode:
		f.bad(n, key, "is %s: want %s", nodeKind(n), s.example())
	default:
		f.apply(given{from: f.at(n), key: key, text: n.Value})
	}
}

// list answers the texts of a sequence.
func (f *yamlFile) list(key string, n *yaml.Node) (list []string, ok bool) {
	list, ok = []string{}, true
	for _, item := range n.Content {
		if item = follow(item); item.Kind != yaml.ScalarNode || isNull(item) {
			f.bad(item, key, "has %s in its list: want text", nodeKind(item))
			ok = false
			continue
		}
		list = append(list, item.Value)
	}
	return list, ok
}

// bad reports a problem with a node.
func (f *yamlFile) bad(n *yaml.Node, key, format string, args ...any) {
	f.problems.add(f.at(n), key, format, args...)
}

// at names the place of a node.
func (f *yamlFile) at(n *yaml.Node) string { return fmt.Sprintf("%s:%d", f.name, n.Line) }

// follow answers what an alias stands for.
func follow(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}

func isMerge(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!merge" }

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// nodeKind says in words what a node is.
func nodeKind(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a section"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "nothing"
	}
	return "a single value"
}

// wantSection says what stands below a section's key.
func wantSection(prefix string) string {
	if prefix == servicesPrefix {
		return "services by name"
	}
	return "a section with " + either(children(prefix))
}
