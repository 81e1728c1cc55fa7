package main

import (
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// An answer in parts is so many records of one partition, numbered or not, the last of
// them final; any other answer is one record without a number.
func TestAnswer(t *testing.T) {
	asked := &kgo.Record{Topic: anyTopic}
	q := question{Client: 1, N: 2, Parts: 3, Pad: "pad"}
	records := q.answer(asked, "s.1", replyTopic)
	var got []string
	for _, r := range records {
		got = append(got, fmt.Sprintf("%v %s %s", r.Partition == records[0].Partition, header(r, "parley-part"), header(r, "parley-final")))
	}
	if want := []string{"true 0 false", "true 1 false", "true 2 true"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if hashOf(records[0].Value) == hashOf(records[1].Value) {
		t.Error("parts have the same bytes: nobody could tell that they were swapped")
	}
	q.N = 3
	if plain := q.answer(asked, "s.1", replyTopic); header(plain[1], "parley-part")+header(plain[1], "parley-final") != "false" {
		t.Errorf("without numbers: headers %v", plain[1].Headers)
	}
	q.Parts = 0
	if one := q.answer(asked, "s.1", replyTopic); len(one) != 1 || header(one[0], "parley-part")+header(one[0], "parley-final") != "" {
		t.Errorf("a single answer is %d records, with headers %v", len(one), one[0].Headers)
	}
}
