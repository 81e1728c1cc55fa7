//go:build defects

package routing

import "testing"

// What the campaign writes into its file is understood, and anything else kills nobody.
func TestDoomIsRead(t *testing.T) {
	d := readDoom("relayed 20", "")
	if d == nil || d.at != PointRelayed || d.left.Load() != 20 {
		t.Fatalf("relayed 20 was read as %v", d)
	}
	if d := readDoom("held", ""); d == nil || d.at != PointHeld || d.left.Load() != 0 {
		t.Errorf("a point alone was read as %v", d)
	}
	if d := readDoom("", ""); d != nil {
		t.Errorf("nothing was read as %v", d)
	}
	Pass(PointHeld) // which nobody has asked for
}

// Of several processes that are doomed by one lot it falls on one.
func TestOneIsDrawn(t *testing.T) {
	dir := t.TempDir()
	drawn := 0
	for range 3 {
		if readDoom("held 0 lot-1", dir).draw() {
			drawn++
		}
	}
	if drawn != 1 {
		t.Errorf("the lot fell on %d", drawn)
	}
	if !readDoom("held 0 lot-2", dir).draw() || !readDoom("held 0", dir).draw() {
		t.Error("another lot, or none, fell on nobody")
	}
}
