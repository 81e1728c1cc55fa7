package routing

import "testing"

// Whatever a client sends as an event's place, it is read as one only if it is written
// like one.
func FuzzRecordAt(f *testing.F) {
	for _, text := range []string{"orders.events/2/4", "a/b/1/2", "", "/1/2", "t/-1/2", "t/1/99999999999999999999", "t/2147483648/0", "t/01/+2"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, err := ParseRecordAt(text)
		if err != nil {
			return
		}
		if again, err := ParseRecordAt(at.String()); err != nil || again != at || at.Topic == "" || at.Partition < 0 || at.Offset < 0 {
			t.Errorf("%q is %+v, then %+v, %v", text, at, again, err)
		}
	})
}
