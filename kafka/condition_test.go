package kafka

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// ask answers whether a condition is true of an event.
func ask(t testing.TB, condition, key, value string, header ...string) (bool, error) {
	t.Helper()
	c, err := CompileCondition(condition)
	if err != nil {
		t.Fatalf("%s: %v", condition, err)
	}
	var view eventView
	view.show(&kgo.Record{Key: []byte(key), Value: []byte(value), Headers: headers(header...)})
	return c.holds(&view)
}

// A condition sees the value, the key and the headers of an event, and compares
// numbers by what they are worth.
func TestConditionsHold(t *testing.T) {
	for condition, want := range map[string]bool{
		`event.state in ["VALIDATED", "FAILED"]`:                   true,
		`event.state == "CREATED"`:                                 false,
		`event.n == 3 && event.n > 2 && event.n < 3.5`:             true,
		`key == "o-1" && headers["kind"] == "end"`:                 true,
		`has(event.gone) && event.gone.deep == 1`:                  false,
		`event.lines.exists(l, l.sku == "tea") && size(event) > 2`: true,
		`"kind" in headers`:                                        true,
	} {
		got, err := ask(t, condition, "o-1", `{"state":"FAILED","n":3,"lines":[{"sku":"tea"}]}`, "kind", "end")
		if err != nil || got != want {
			t.Errorf("%s: %v %v", condition, got, err)
		}
	}
}

// An event that is not as a condition expects is an error of that event's, and one
// that is no JSON hurts only who asks for its value.
func TestStrangeEvents(t *testing.T) {
	for value, condition := range map[string]string{
		`{}`:         `event.state == "x"`,
		`[1,2]`:      `event.state == "x"`,
		`{"n":"x"}`:  `event.n > 3`,
		`{"n":"xy"}`: `event.n`,
	} {
		if got, err := ask(t, condition, "", value); err == nil && condition != "event.n" || got {
			t.Errorf("%s of %s: %v %v", condition, value, got, err)
		}
	}
	if _, err := ask(t, `event.state == "x"`, "", "\x00\x01avro"); !errors.Is(err, errNotJSON) {
		t.Errorf("no JSON: %v", err)
	}
	if got, err := ask(t, `headers["state"] == "x"`, "", "\x00\x01avro", "state", "x"); !got || err != nil {
		t.Errorf("headers of what is no JSON: %v %v", got, err)
	}
	huge := `{"l":[` + strings.TrimSuffix(strings.Repeat("1,", 200_000), ",") + `]}`
	if _, err := ask(t, `event.l.all(x, event.l.all(y, x == y))`, "", huge); err == nil {
		t.Error("a condition may run for ever")
	}
}

// Mistakes are told when a condition is compiled, with the place.
func TestConditionsThatAreNone(t *testing.T) {
	for condition, want := range map[string]string{
		`evnt.state == "x"`:       "at 1:1: undeclared reference to 'evnt'",
		`event.state = "x"`:       "at 1:13",
		`"VALIDATED"`:             "it answers string, not bool",
		`key > 3`:                 "no matching overload",
		`event.matches(`:          "at 1:",
		strings.Repeat("!", 9000): "longer than",
	} {
		_, err := CompileCondition(condition)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %s", condition, err, want)
		}
	}
	if _, err := CompileKey(`size(request)`); err == nil {
		t.Error("a key that is a number from the start")
	}
}

// A key is text, or a number as JSON writes it.
func TestKeyOf(t *testing.T) {
	for _, c := range []struct{ expression, body, want string }{
		{`request.order.id`, `{"order":{"id":"o-1"}}`, "o-1"},
		{`request.id`, `{"id":17}`, "17"},
		{`request.a + "/" + request.b`, `{"a":"x","b":"y"}`, "x/y"},
		{`request.id`, `{"id":true}`, ""},
		{`request.id`, `{}`, ""},
		{`request.id`, `no`, ""},
		{`request.id`, ``, ""},
	} {
		key, err := CompileKey(c.expression)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := key.Of([]byte(c.body)); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s of %s: %q %v", c.expression, c.body, got, err)
		}
	}
}

// Whatever stands in an event, asking about it ends.
func FuzzCondition(f *testing.F) {
	c, err := CompileCondition(`event.state in ["A", "B"] || event.items.exists(i, i.n > 3) || key.startsWith(headers["h"])`)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"state":"A"}`), "k", "v")
	f.Add([]byte(`{"items":[{"n":4}]}`), "", "")
	f.Add([]byte(`[[[[`), "k", "v")
	f.Fuzz(func(t *testing.T, value []byte, key, header string) {
		var view eventView
		view.show(&kgo.Record{Key: []byte(key), Value: value, Headers: headers("h", header)})
		if _, err := c.holds(&view); !json.Valid(value) && !errors.Is(err, errNotJSON) {
			t.Errorf("%q: %v", value, err)
		}
	})
}

// Whatever is given as a condition, compiling it ends.
func FuzzCompile(f *testing.F) {
	f.Add(`event.state == "x"`)
	f.Add(`[[[[[`)
	f.Add(`key.matches("(a*)*")`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := CompileCondition(text)
		if err != nil {
			return
		}
		var view eventView
		view.show(&kgo.Record{Value: []byte(`{"a":1}`)})
		_, _ = c.holds(&view)
	})
}

func BenchmarkCondition(b *testing.B) {
	c, err := CompileCondition(`event.state in ["VALIDATED", "FAILED"]`)
	if err != nil {
		b.Fatal(err)
	}
	record := &kgo.Record{Key: []byte("o-1"), Value: []byte(`{"order":"o-1","state":"CREATED","customer":"c-1","items":[{"sku":"tea","quantity":2,"price":"6.20","sum":"12.40"}],"total":"12.40"}`)}
	var view eventView
	b.ReportAllocs()
	for b.Loop() {
		view.show(record)
		if ok, err := c.holds(&view); ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
