// Package service makes a Go function a service behind Parley: it reads requests
// from topics, calls the function, and writes its answers to where they are waited
// for.
//
//	shop, err := service.New(service.Options{
//		Kafka: kafka.Config{Brokers: []string{"127.0.0.1:9092"}},
//		Group: "prices",
//		Handlers: map[string]service.Handler{
//			"prices.requests": func(ctx context.Context, r *service.Request) error {
//				return r.Reply(service.Answer{Body: []byte(`{"price":12}`), ContentType: "application/json"})
//			},
//		},
//	})
//	if err != nil { … }
//	err = shop.Run(ctx) // until ctx ends
//
// # Answers
//
// [Request.Reply] gives the answer. To say no, return a [*Failure], or give one to
// [Request.Fail]: the client gets its code, status and message. Any other error, and
// a panic, is logged here, and the client is told "internal" and nothing more.
//
// [Request.Part] gives a part of an answer before the others are known. The parts
// are numbered, and the end is marked, by this package:
//
//	for line := range lines {
//		if err := r.Part(service.Answer{Body: line}); err != nil {
//			return err // nobody listens any longer
//		}
//	}
//	return nil // the end
//
// # Time
//
// The context ends at the deadline of the request, and when its client cancels it or
// leaves for good, if the gateway is told to say so (`cancel: true` in the service's
// configuration). A request whose deadline has passed before a handler was free is
// not handled at all, nor one that was cancelled while it waited. A notification, to
// which nobody wants an answer, has no deadline.
//
// # At least once
//
// A record is committed when its final answer is in Kafka, and all records before it
// in its partition are done. So a process that dies answers nothing less: another
// one reads again what had no answer. The price is that a request can be handled
// twice, when a process dies between the handler's work and the commit, or when a
// partition moves while a handler is at work. The asking gateway takes the first
// answer and drops the second. Work that must not be done twice is to be recorded
// under [Request.IdempotencyKey], together with its effect. [Options.Memory] spares
// the handler repetitions that reach the same process, answers of [Failure] among
// them; it forgets when the process ends.
//
// # How many at once
//
// [Options.Concurrency] handlers run at a time, in no order, unless [Options.Ordered]
// keeps those of one key in line. Some more requests are read ahead
// ([Options.Backlog]), which is what lets a cancel overtake the request that it
// ends. The rest waits in Kafka.
//
// # The end
//
// When Run's context ends no further request is taken; handlers at work have
// [Options.Shutdown] to end by themselves, and then their contexts end. Answers are
// written, offsets committed, and the group is left at once, so that another process
// goes on without waiting for a session to time out.
//
// # Tests
//
// [Try] calls a handler without Kafka.
//
// # Files
//
// request.go is what handlers see. service.go makes and ends a service, consume.go
// reads records and marks how far they are done, crew.go runs as many as may run,
// job.go is the way of one request, memory.go answers repetitions, dialect.go knows
// the headers.
package service
