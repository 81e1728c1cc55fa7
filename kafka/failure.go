package kafka

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

// failure is what a client is told of a produce that failed. neverWritten says
// that the record certainly did not reach a broker.
func failure(err error, neverWritten bool) *routing.Error {
	switch {
	case errors.Is(err, kgo.ErrMaxBuffered):
		return overloaded(err)
	case errors.Is(err, kerr.MessageTooLarge):
		// The client says so of a record that fits no batch; a broker says so of a
		// whole batch and then keeps nothing of it.
		return &routing.Error{Word: routing.TooLarge, Message: "the request is larger than the service's topic accepts",
			Outcome: routing.NotSent, Cause: err}
	case neverWritten:
		return unavailable(err, routing.NotSent)
	}
	return unavailable(err, routing.Unknown)
}

func overloaded(cause error) *routing.Error {
	return &routing.Error{Word: routing.Overloaded, Message: "as many requests wait for Kafka as may",
		Outcome: routing.NotSent, Retry: true, Cause: cause}
}

func unavailable(cause error, outcome routing.Certainty) *routing.Error {
	e := &routing.Error{Word: routing.Unavailable, Outcome: outcome, Retry: true, Cause: cause}
	switch {
	case errors.Is(cause, kerr.UnknownTopicOrPartition), errors.Is(cause, kerr.UnknownTopicID):
		e.Message = "the service's topic does not exist"
	case errors.Is(cause, kerr.TopicAuthorizationFailed):
		e.Message, e.Retry = "the gateway may not write to the service's topic", false
	case errors.Is(cause, kgo.ErrClientClosed):
		e.Message = "this node is going away"
	default:
		e.Message = "the request could not be written to Kafka in time"
	}
	return e
}
