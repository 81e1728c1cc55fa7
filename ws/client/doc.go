// Package client is a Go client of a Parley gateway: calls of Kafka services
// over a WebSocket, by a session that outlives its sockets and the gateway's
// nodes.
//
//	c, err := client.Dial(ctx, client.Options{URLs: []string{"wss://a.example/ws", "wss://b.example/ws"}})
//	if err != nil {
//		return err
//	}
//	defer c.Close(context.Background())
//	reply, err := c.Call(ctx, "orders", []byte(`{"customer":"c-1"}`), client.CallOptions{Key: "c-1"})
//
// An answer that comes in parts is a sequence, at the reader's own pace:
//
//	for part, err := range c.Stream(ctx, "orders", params, client.CallOptions{}) {
//		…
//	}
//
// Events that no request asked for are pushed to a [Subscription]:
//
//	orders, err := c.Subscribe(ctx, "orders.events", "o-1")
//	for err == nil {
//		var push client.Push
//		push, err = orders.Next(ctx)
//		…
//	}
//
// # What a caller can rely on
//
// A call ends exactly once: with the service's reply, with an *[Error], or with
// the error of its context. When a socket is lost, the client resumes its session
// on another one, at any node, and open calls go on: their replies come then.
//
// An Error says in Outcome what became of the request: [NotSent] is not in Kafka
// and may be sent again, [Unknown] may have been carried out or not, [Done] was
// answered by its service. The client sends a request a second time only where it is
// certain that the first never arrived: because the socket was lost before its bytes
// were written, or because the gateway says so. A request that was on its way in a
// socket that died is asked about when the session resumes. If it never reached the
// gateway, its Timeout has not passed and no later call with its Key can have
// overtaken it, it goes by the new socket, three times at most; else the call ends with
// unknown_request, outcome not_sent. If the gateway does not know it and cannot be
// certain, the outcome is unknown.
//
// Calls that are made while there is no socket wait for one; more than
// [Options].Waiting of them are refused: overloaded, not_sent. When the gateway
// cannot resume the session (it was away for longer than the gateway keeps
// sessions), the calls that it had sent end with session_gone, outcome unknown,
// and the client goes on with a new session.
//
// # Sockets
//
// A lost socket is replaced after a random time, rand(0, min(20 s, 0.5 s*2^n)),
// where n counts losses in a row and is 0 again once a socket has lived for 30 s;
// by another node than the one that was lost, where there are several, at random.
// Where it died without a close frame, each URL, and three at most, is tried within
// 100 ms before that.
//
// A socket that has died without a word looks like one whose gateway is slow. So a client
// that has written a call, and has not read a byte for 500 ms, asks whether anyone is there
// ($/ping), and writes no more calls until it hears something: they would be lost, and
// where the node is dead, nobody could say whether it had read them before. They wait, and
// go by the next socket if there is no answer for 10 s.
//
// A node that drains asks its clients to go ($/goaway): the client moves at a
// random moment in the time that the node gives, and closes the old socket
// politely, so that nothing is on its way in it. Close codes mean:
//
//	1000, 1003, 1007, 1009, 4400, 4403, 4406, 4409   stop: the client ends, Err says why
//	1013, 4429                                       come back 10 s later than otherwise
//	4401                                             ask Options.Token once more; stop where there is none, or it is refused too
//	4410                                             begin a new session
//	all others, and none (1006)                      resume
//
// # Goroutines
//
// A client has one goroutine that keeps it connected, and per socket a reader and
// a writer; none per call. Close returns when all of them have ended.
package client
