package main

import (
	"bytes"
	"fmt"
	"os"
)

// putInto writes text into a file, in the place of what stands there between the
// marks <!-- mark --> and <!-- /mark -->.
func putInto(file, mark string, text []byte) error {
	whole, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	opening, closing := []byte("<!-- "+mark+" -->\n"), []byte("<!-- /"+mark+" -->")
	before, rest, opens := bytes.Cut(whole, opening)
	_, after, closes := bytes.Cut(rest, closing)
	if !opens || !closes {
		return fmt.Errorf("%s has no %sand %s after it", file, opening, closing)
	}
	text = append(bytes.TrimSpace(text), '\n')
	return os.WriteFile(file, bytes.Join([][]byte{before, opening, text, closing, after}, nil), 0o644)
}
