package table

import (
	"strings"
	"testing"

	"parley/routing"
)

// Whatever stands where the outcome of a kept request should, it is read as one; and
// one that was written is read as it was.
func FuzzOutcome(f *testing.F) {
	f.Add(outcomeText(&routing.Error{Word: routing.Cancelled, Outcome: routing.Unknown, Message: "two  words"}))
	f.Add(tooMuch)
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		e := parseOutcome(text)
		if e == nil {
			t.Fatal("no outcome")
		}
		if again := parseOutcome(outcomeText(e)); !strings.ContainsRune(text, '\xff') && *again != *e {
			t.Errorf("%q: %+v, then %+v", text, e, again)
		}
	})
}
