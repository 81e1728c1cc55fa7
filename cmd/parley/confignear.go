package main

import (
	"slices"
	"strings"
)

// suggest answers the keys that a user who wrote an unknown one may have meant:
// one of the same section that is spelt nearly so, else those of the same name
// in other sections.
func suggest(key string) []string {
	dot := strings.LastIndex(key, ".") + 1
	parent, name := key[:dot], key[dot:]
	if near := nearest(children(parent), name, max(1, len(name)/3)); near != "" {
		return []string{parent + near}
	}
	var elsewhere []string
	for _, s := range settings {
		if strings.HasSuffix(s.key, "."+name) {
			elsewhere = append(elsewhere, s.key)
		}
	}
	if _, ok := find(serviceSettings, name); ok {
		elsewhere = append(elsewhere, servicesPrefix+"<name>."+name)
	}
	return elsewhere
}

// suggestVariable is suggest for a variable of the environment.
func suggestVariable(name string) []string {
	var all, elsewhere []string
	for _, s := range settings {
		v := envName(s.key)
		all = append(all, v)
		if strings.HasSuffix(v, "_"+strings.TrimPrefix(name, envPrefix)) {
			elsewhere = append(elsewhere, v)
		}
	}
	if near := nearest(all, name, 3); near != "" {
		return []string{near}
	}
	return elsewhere
}

// didYouMean asks whether a user meant one of names, each written with prefix;
// otherwise is what to say where there are none.
func didYouMean(prefix string, names []string, otherwise string) string {
	if len(names) == 0 {
		return otherwise
	}
	var all []string
	for _, n := range names {
		all = append(all, prefix+n)
	}
	return "did you mean " + either(all) + "?"
}

// children answers the names that may stand right below a section, given with
// its last dot; "" is the file itself.
func children(parent string) (names []string) {
	known := settings
	if rest, ok := strings.CutPrefix(parent, servicesPrefix); ok && rest != "" {
		known, parent = serviceSettings, serviceSection(parent)
	} else if parent == "" {
		names = append(names, strings.TrimSuffix(servicesPrefix, "."))
	}
	for _, s := range known {
		if below, ok := strings.CutPrefix(s.key, parent); ok {
			child, _, _ := strings.Cut(below, ".")
			if !slices.Contains(names, child) {
				names = append(names, child)
			}
		}
	}
	return names
}

// serviceSection answers which section of a service a key names that ends in a
// dot, "" for the service itself.
func serviceSection(key string) (longest string) {
	for _, s := range serviceSettings {
		for i, c := range s.key {
			if c == '.' && i >= len(longest) && strings.HasSuffix(key, "."+s.key[:i+1]) {
				longest = s.key[:i+1]
			}
		}
	}
	return longest
}

// nearest answers the candidate with the fewest edits from name, "" where all
// need more than most.
func nearest(candidates []string, name string, most int) (near string) {
	for _, c := range candidates {
		if d := edits(c, name); d <= most {
			near, most = c, d-1
		}
	}
	return near
}

// edits counts the bytes to insert, delete or replace to turn one text into the
// other (Levenshtein).
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// either lists what is allowed: "a, b or c".
func either(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}
