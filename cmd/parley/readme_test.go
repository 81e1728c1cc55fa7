package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const repository = "../.."

// readme answers the README's text.
func readme(t *testing.T) string {
	t.Helper()
	return source(t, "README.md")
}

// source answers the text of a file of the repository.
func source(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A reader copies a service from the README: it is the very file that the tests
// run on real Kafka (TestServicesOfOthers).
func TestReadmeServices(t *testing.T) {
	text := readme(t)
	for _, file := range []string{"hello/main.go", "hello.py", "hello.mjs", "Hello.java", "hello.sh", "words/main.go", "words.py", "words.mjs", "Words.java"} {
		code := strings.TrimSpace(source(t, filepath.Join("scripts/e2e/services", file)))
		if !strings.Contains(text, "\n"+code+"\n```\n") {
			t.Errorf("the README does not show scripts/e2e/services/%s as it is", file)
		}
	}
}

// parleyLine matches a line of a code block that runs parley: perhaps variables,
// perhaps a prompt, a way to name the program, and its arguments.
var parleyLine = regexp.MustCompile(`(?m)^(?:\$ )?((?:[A-Z_]+=\S+ )*)(?:go run \./cmd/parley|\./parley|parley) ([a-z]+.*)$`)

// mistaken are the command lines that the README shows for their mistakes.
var mistaken = map[string]bool{"config --kafka.broker x --log.level loud --services.orders.timeout 5": true}

// A reader pastes a command line of the README, and parley takes all of it.
func TestReadmeCommands(t *testing.T) {
	blocks := codeBlocks(readme(t))
	seen := make(map[string]bool)
	for _, line := range parleyLine.FindAllStringSubmatch(blocks, -1) {
		command, _, _ := strings.Cut(line[2], "#")
		command = strings.TrimSpace(command)
		args := strings.Fields(command)
		if args[0] == "config:" { // an output
			continue
		}
		seen[args[0]] = true
		if err := tryCommand(t, strings.Fields(line[1]), args); (err != nil) != mistaken[command] {
			t.Errorf("parley %s: %v", command, err)
		}
	}
	for _, name := range []string{"dev", "serve", "config", "demo", "worker"} {
		if !seen[name] {
			t.Errorf("the README shows no `parley %s`", name)
		}
	}
}

// tryCommand parses a command line as parley does, and runs nothing.
func tryCommand(t *testing.T, environ, args []string) error {
	t.Helper()
	if args[0] == "worker" {
		keys, err := forwardFlags(args[1:])
		if err != nil {
			return err
		}
		args = append(args[:1], keys...)
	}
	if args[0] == "serve" || args[0] == "config" || args[0] == "worker" {
		file := filepath.Join(t.TempDir(), "parley.yaml")
		if err := os.WriteFile(file, []byte(exampleYAML(t)), 0o600); err != nil {
			t.Fatal(err)
		}
		for i := range args {
			args[i] = strings.Replace(args[i], "parley.yaml", file, 1)
		}
		_, err := loadConfig(args[0], args[1:], environ, io.Discard)
		return err
	}
	// A command reads its flags in order: it comes to -h if it takes the others.
	var says strings.Builder
	if code := dispatch(t.Context(), append(args, "-h"), io.Discard, &says); code != exitOK {
		return usageError(says.String())
	}
	return nil
}

type usageError string

func (e usageError) Error() string { return string(e) }

// exampleYAML is the configuration file that the README shows.
func exampleYAML(t *testing.T) string {
	t.Helper()
	_, rest, found := strings.Cut(readme(t), "```yaml\n")
	text, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("the README shows no YAML")
	}
	return text
}

// codeBlocks answers what stands between fences.
func codeBlocks(text string) string {
	var code strings.Builder
	for i, part := range strings.Split(text, "\n```") {
		if i%2 == 1 {
			_, block, _ := strings.Cut(part, "\n")
			code.WriteString(block + "\n")
		}
	}
	return code.String()
}

// A reader looks a name up: each that the code gives to errors, headers, closes
// and metrics is in the README, and an error word has its true numbers.
func TestReadmeNames(t *testing.T) {
	text := readme(t)
	for _, names := range []struct{ file, pattern string }{
		{"kafka/headers.go", `= "(parley-[a-z-]+)"`},
		{"web/metrics.go", `"(parley_[a-z_]+)"`},
		{"web/gauges.go", `"(parley_[a-z_]+)"`},
		{"ws/closes.go", `closing\{([0-9]+)`},
	} {
		found := regexp.MustCompile(names.pattern).FindAllStringSubmatch(source(t, names.file), -1)
		if len(found) == 0 {
			t.Errorf("%s has nothing like %s", names.file, names.pattern)
		}
		for _, name := range found {
			if name[1] != "1006" && !strings.Contains(text, name[1]) { // 1006 is never sent
				t.Errorf("the README does not tell of %s (%s)", name[1], names.file)
			}
		}
	}
	for word, row := range errorRows(t) {
		if !strings.Contains(text, row) {
			t.Errorf("the README has no row %q for %s", row, word)
		}
	}
}

// errorRows answers how a row of the README's table begins for each error word,
// by the constant's name.
func errorRows(t *testing.T) map[string]string {
	t.Helper()
	words := constants(t, "routing/errors.go", `(\w+)\s+Word\s+= "(\w+)"`)
	numbers := constants(t, "ws/errors.go", `routing\.(\w+):\s+(-\d+)`)
	statuses := constants(t, "web/problem.go", `routing\.(\w+):\s+\{(\d+)`)
	delete(words, "OK")
	rows := make(map[string]string)
	for name, word := range words {
		status := statuses[name]
		if name == "FromService" {
			status = "its own, else " + status
		}
		rows[name] = "| `" + word + "` | " + numbers[name] + " | " + status + " |"
	}
	return rows
}

// constants answers what pattern finds in a file: its second group by its first.
func constants(t *testing.T, file, pattern string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(source(t, file), -1) {
		found[m[1]] = m[2]
	}
	if len(found) == 0 {
		t.Fatalf("%s has nothing like %s", file, pattern)
	}
	return found
}

// A reader follows a link within the repository, and something is there.
func TestReadmeLinks(t *testing.T) {
	for _, link := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(readme(t), -1) {
		if _, err := os.Stat(filepath.Join(repository, link[1])); err != nil {
			t.Errorf("the README links to %s: %v", link[1], err)
		}
	}
}
