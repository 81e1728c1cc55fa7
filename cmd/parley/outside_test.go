package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// others answers the folder that holds other people's programs, which
// scripts/e2e/install has filled. Like the real servers, they are needed only
// where the environment says so.
func others(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("PARLEY_TEST_OTHERS")
	if dir == "" {
		if os.Getenv("PARLEY_TEST_REAL") != "" {
			t.Fatal("PARLEY_TEST_REAL is set, but PARLEY_TEST_OTHERS is not")
		}
		t.Skip("needs programs from npm and PyPI: scripts/test --real")
	}
	return dir
}

const e2eDir = "../../scripts/e2e"

// run runs a program of others' to its end and answers what it printed.
func runOther(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// copyInto copies a script next to the modules that it imports, which is where
// Node looks for them.
func copyInto(t *testing.T, dir, script string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(e2eDir, script))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.CreateTemp(dir, "*-"+filepath.Base(script))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	t.Cleanup(func() { os.Remove(f.Name()) })
	if _, err := f.Write(text); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// shop starts two nodes with the demo services on real servers.
func shop(t *testing.T) *cluster {
	c := newCluster(t, map[string]string{"orders": "murmur2", "basket": "murmur2", "customer": "murmur2", "echo": "murmur2"})
	topics := make(map[string]string)
	for name := range c.services {
		topics[name] = c.topic(name)
	}
	c.demo(topics)
	c.start("a")
	c.start("b")
	c.settled(12)
	return c
}

// Unmodified JSON-RPC clients of two languages call services through the plain
// door.
func TestClientsOfOthers(t *testing.T) {
	dir := others(t)
	c := shop(t)
	socket := strings.Replace(c.nodes[0].url, "http", "ws", 1) + "/ws"
	t.Log(runOther(t, dir, "node", copyInto(t, dir, "call_service.mjs"), socket))
	t.Log(runOther(t, dir, filepath.Join(dir, "venv/bin/python"), copyInto(t, dir, "call_service.py"), socket))
}

// The documents that describe the gateway are valid by their makers' validators, with
// schemas of services that refer to themselves and with odd names in them.
func TestDescribed(t *testing.T) {
	dir := others(t)
	c := newCluster(t, map[string]string{"echo": "murmur2"})
	c.serve("echo", byKey, transforms["same"])
	c.serve("orders", byKey, transforms["same"])
	c.extra = "  orders:\n    topic: " + c.topic("orders") + `
    description: "Prices an <img src=x onerror=document.title='injected'>"
    schema:
      request: {$schema: "https://json-schema.org/draft/2020-12/schema", $id: "https://example.com/order", type: object, required: [items],
        properties: {"odd/na me~": {type: [string, "null"]}, items: {type: array, items: {$ref: "#/$defs/item"}}},
        $defs: {item: {type: object, properties: {sku: {enum: [tea, mug]}, with: {$ref: "#"}}}}}
      reply: true-or-false.json
`
	file := filepath.Join(t.TempDir(), "reply.json")
	if err := os.WriteFile(file, []byte(`{"type":"object","properties":{"total":{"type":"string"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	c.extra = strings.Replace(c.extra, "true-or-false.json", file, 1)
	c.extra += fmt.Sprintf("  state: {answer: {view: {topic: %s, until: {done: 'event.order != \"<b>\"', ever: \"true\"}}}}\n", c.topic("states"))
	c.start("a")
	state := &kgo.Record{Topic: c.topic("states"), Key: []byte("o-1"), Value: []byte(`{"order":"o-1"}`)}
	if err := c.client.ProduceSync(t.Context(), state).FirstErr(); err != nil {
		t.Fatal(err)
	}
	t.Log(runOther(t, dir, "node", copyInto(t, dir, "described.mjs"), c.nodes[0].url))
	t.Log(runOther(t, dir, "node", copyInto(t, dir, "docs.mjs"), c.nodes[0].url, artefacts(t)))
	t.Log(runOther(t, dir, filepath.Join(dir, "venv/bin/python"), copyInto(t, dir, "described.py"), c.nodes[0].url))
}

// A person types into wscat: a request, then nonsense, then a request again.
func TestWscat(t *testing.T) {
	dir := others(t)
	c := shop(t)
	// wscat shows what it hears on a terminal only: script gives it one.
	wscat := fmt.Sprintf("node %s -c %s/ws", filepath.Join(dir, "node_modules/wscat/bin/wscat"), strings.Replace(c.nodes[0].url, "http", "ws", 1))
	cmd := exec.CommandContext(t.Context(), "script", "-qfec", wscat, "/dev/null")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	expect := func(what string) {
		t.Helper()
		limit := time.After(20 * time.Second)
		for {
			select {
			case line, open := <-lines:
				if !open {
					t.Fatalf("wscat ended before it showed %s", what)
				}
				if strings.Contains(line, what) {
					return
				}
			case <-limit:
				t.Fatalf("wscat does not show %s", what)
			}
		}
	}
	expect("Connected")
	fmt.Fprintln(in, `{"jsonrpc":"2.0","id":1,"method":"customer","params":{"customer":"c-1"}}`)
	expect(`{"jsonrpc":"2.0","id":1,"result":{"customer":"c-1","name":"Harbour Café","city":"Lisbon","since":"2019-04-02"}}`)
	fmt.Fprintln(in, `hi`)
	expect(`"code":"parse_error"`)
	fmt.Fprintln(in, `{"jsonrpc":"2.0","id":"two","method":"echo","params":"hi"}`)
	expect(`{"jsonrpc":"2.0","id":"two","result":"hi"}`)
}

// Services that use no code of Parley answer it: the very files that the README
// shows, in five languages.
func TestServicesOfOthers(t *testing.T) {
	dir := others(t)
	jars := os.Getenv("PARLEY_TEST_JARS")
	for _, s := range []struct {
		file        string
		partitioner string
		command     []string
		env         string
	}{
		{"hello/main.go", "murmur2", []string{"go", "run"}, ""},
		{"hello.py", "murmur2", []string{filepath.Join(dir, "venv/bin/python")}, ""},
		{"hello.mjs", "murmur2", []string{"node"}, ""},
		{"Hello.java", "murmur2", []string{"java"}, "CLASSPATH=" + jars + "/*"},
		{"hello.sh", "murmur2", []string{"bash"}, ""},
	} {
		t.Run(s.file, func(t *testing.T) {
			if s.env != "" && jars == "" {
				t.Fatal("PARLEY_TEST_JARS is not set")
			}
			c := newCluster(t, map[string]string{"hello": s.partitioner})
			c.start("a")
			c.runService(dir, s.file, s.command, s.env)
			for n := range 20 {
				body := fmt.Sprintf(`{"n":%d,"text":"häl lo 🙂"}`, n)
				if got := c.post(t, "/services/hello", body); got != body {
					t.Fatalf("answer %d: got %s, want %s", n, got, body)
				}
			}
			if relayed := c.metric(`parley_replies_total{path="relay"}`); relayed != 0 {
				t.Errorf("%v replies were relayed, want 0", relayed)
			}
		})
	}
}

// So do services that answer in parts, in four languages; the one in Go is made with the package for services.
func TestStreamingServicesOfOthers(t *testing.T) {
	dir := others(t)
	for _, s := range []struct {
		file    string
		command []string
		env     string
	}{
		{"words/main.go", []string{"go", "run"}, ""},
		{"words.py", []string{filepath.Join(dir, "venv/bin/python")}, ""},
		{"words.mjs", []string{"node"}, ""},
		{"Words.java", []string{"java"}, "CLASSPATH=" + os.Getenv("PARLEY_TEST_JARS") + "/*"},
	} {
		t.Run(s.file, func(t *testing.T) {
			c := newCluster(t, map[string]string{"words": "murmur2"})
			c.start("a")
			c.runService(dir, s.file, s.command, s.env)
			for range 3 {
				if got := c.post(t, "/services/words", `"to be or not to be"`); got != `["to","be","or","not","to","be"]` {
					t.Fatalf("got %s", got)
				}
			}
		})
	}
}

// runService runs a service of the README with this cluster's names in it,
// until the test ends.
func (c *cluster) runService(dir, file string, command []string, env string) {
	c.t.Helper()
	text, err := os.ReadFile(filepath.Join(e2eDir, "services", file))
	if err != nil {
		c.t.Fatal(err)
	}
	name, _, _ := strings.Cut(strings.ToLower(filepath.ToSlash(file)), ".")
	name, _, _ = strings.Cut(name, "/")
	group := c.prefix + "-" + name
	own := strings.NewReplacer(name+".requests", c.topic(name), `"`+name+`"`, `"`+group+`"`, `'`+name+`'`, `'`+group+`'`, "-G "+name, "-G "+group)
	folder, err := os.MkdirTemp(dir, "service-")
	if err != nil {
		c.t.Fatal(err)
	}
	path := filepath.Join(folder, filepath.Base(file))
	if err := os.WriteFile(path, []byte(own.Replace(string(text))), 0o600); err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(command[0], append(command[1:len(command):len(command)], path)...)
	cmd.Env = append(os.Environ(), "KAFKA="+c.kafka, env)
	output := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = output, output
	stop := startGroup(c.t, cmd)
	c.t.Cleanup(func() {
		stop()
		os.RemoveAll(folder)
		if c.t.Failed() {
			c.t.Logf("the service said:\n%s", tail(output.String(), 4000))
		}
	})
}

// post makes a parked call of the first node and answers the reply's body.
func (c *cluster) post(t *testing.T, path, body string) string {
	t.Helper()
	response, err := http.Post(c.nodes[0].url+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

// A person opens the page in a real browser, clicks through it, and sees the
// answers arrive. The screenshot is kept where PARLEY_TEST_ARTEFACTS says.
func TestDemoPage(t *testing.T) {
	dir := others(t)
	c := shop(t)
	t.Log(runOther(t, dir, "node", copyInto(t, dir, "page.mjs"), c.nodes[0].url, artefacts(t)))
}

// artefacts is the folder for what a test leaves to look at.
func artefacts(t *testing.T) string {
	if dir := os.Getenv("PARLEY_TEST_ARTEFACTS"); dir != "" {
		return dir
	}
	return t.TempDir()
}
