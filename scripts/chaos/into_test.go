package main

import (
	"os"
	"path/filepath"
	"testing"
)

// A report takes the place of an older one, and what stands around it stays. A
// file without a place for it is left alone.
func TestPutInto(t *testing.T) {
	file := filepath.Join(t.TempDir(), "README.md")
	for _, c := range []struct{ mark, was, is string }{
		{"chaos", "a\n<!-- chaos -->\nold\n<!-- /chaos -->\nz\n", "a\n<!-- chaos -->\nnew\n<!-- /chaos -->\nz\n"},
		{"chaos", "<!-- chaos -->\n<!-- /chaos -->", "<!-- chaos -->\nnew\n<!-- /chaos -->"},
		{"defects", "a\n<!-- chaos -->\nold\n<!-- /chaos -->\n", ""},
	} {
		if err := os.WriteFile(file, []byte(c.was), 0o644); err != nil {
			t.Fatal(err)
		}
		err := putInto(file, c.mark, []byte("\nnew\n\n"))
		is, _ := os.ReadFile(file)
		if c.is == "" {
			c.is = c.was
			if err == nil {
				t.Errorf("%q has no place for it, and there was no error", c.was)
			}
		} else if err != nil {
			t.Error(err)
		}
		if string(is) != c.is {
			t.Errorf("%q became %q, want %q", c.was, is, c.is)
		}
	}
}
