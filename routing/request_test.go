package routing

import (
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"
)

// A reply under another receipt is the same in all but that, and is not settled.
func TestReplyUnder(t *testing.T) {
	reply := &Reply{
		ID: "s.1", Final: true, Place: 1, Status: 200, Err: &ServiceError{}, ContentType: "text/plain", Headers: []Header{}, Body: []byte{},
		From: RecordAt{Topic: "replies"}, After: 1, Stamp: time.Unix(1, 0), Consumed: time.Unix(2, 0), ConsumedBy: "a", Relayed: time.Unix(3, 0),
		Receipt: &partition{}, Token: Token{B: 7},
	}
	var elsewhere sync.WaitGroup
	elsewhere.Go(reply.done) // which the race detector must not mind
	receipt := &partition{}
	got := reply.under(receipt)
	elsewhere.Wait()
	for i, fields := 0, reflect.ValueOf(*reply); i < fields.NumField(); i++ {
		if fields.Field(i).IsZero() {
			t.Errorf("%s is not filled", fields.Type().Field(i).Name)
		}
	}
	got.done()
	if !slices.Equal(receipt.offsets(), []int64{7}) {
		t.Error("it is not settled with its own receipt")
	}
	got.Receipt = reply.Receipt
	if !reflect.DeepEqual(got, reply) {
		t.Errorf("got  %+v\nwant %+v", got, reply)
	}
}
