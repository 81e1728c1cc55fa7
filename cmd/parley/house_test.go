package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The arrows of the house: packages know the domain, never each other, and the
// domain knows the standard library alone. Only this command joins them.
func TestImports(t *testing.T) {
	may := map[string][]string{ // packages of this module that each may depend on
		"parley/routing":       nil,
		"parley/routing/table": {"parley/routing"},
		"parley/kafka":         {"parley/routing"},
		"parley/kafka/service": {"parley/routing", "parley/kafka"},
		"parley/kafka/worker":  {"parley/routing", "parley/kafka", "parley/kafka/service"},
		"parley/ws":            {"parley/routing"},
		"parley/ws/client":     nil,
		"parley/web":           {"parley/routing"},
		"parley/web/auth":      {"parley/routing"},
	}
	for name, allowed := range may {
		out, err := exec.Command("go", "list", "-deps", name).Output()
		if err != nil {
			t.Fatalf("go list -deps %s: %v", name, err)
		}
		for dep := range strings.FieldsSeq(string(out)) {
			switch {
			case dep == name:
			case strings.HasPrefix(dep, "parley/") && !slices.Contains(allowed, dep):
				t.Errorf("%s depends on %s", name, dep)
			case name == "parley/routing" && strings.Contains(strings.Split(dep, "/")[0], ".") && !strings.HasPrefix(dep, "vendor/"):
				t.Errorf("the domain depends on %s", dep)
			}
		}
	}
}
