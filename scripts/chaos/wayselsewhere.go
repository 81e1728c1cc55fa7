package main

// collectedElsewhere counts outcomes of kept requests that were collected at another node
// than the one that took the request.
func collectedElsewhere(events []event) (n int) {
	took := make(map[string]string)
	for i := range events {
		switch e := &events[i]; {
		case e.Kind == kept && took[e.Request] == "":
			took[e.Request] = e.Node
		case e.Kind == collected && e.Word != gone && took[e.Request] != e.Node:
			n++
		}
	}
	return n
}

// keyedElsewhere counts requests under an idempotency key that a node did not say anything
// of, and another one then said that they are kept.
func keyedElsewhere(events []event) (n int) {
	broke := make(map[call]string)
	for i := range events {
		switch e := &events[i]; {
		case e.Kind == refused && e.Word == "broken":
			broke[e.call()] = e.Node
		case e.Kind == kept && broke[e.call()] != "" && broke[e.call()] != e.Node:
			n++
			delete(broke, e.call())
		}
	}
	return n
}

// answeredElsewhere counts replies of requests that events answer which came over another
// node than the one that was asked.
func answeredElsewhere(events []event) (n int) {
	at, asked := make(map[int]string), make(map[call]string)
	for i := range events {
		switch e := &events[i]; {
		case e.Kind == opened || e.Kind == resumed:
			at[e.Client] = e.Node
		case e.Kind == sent && e.Key != "":
			asked[e.call()] = at[e.Client]
		case e.Kind == outcome && e.Word == "" && asked[e.call()] != "" && asked[e.call()] != at[e.Client]:
			n++
		}
	}
	return n
}

// takenOver counts the times that a subscription went on at another node.
func takenOver(events []event) (n int) {
	type of struct {
		client int
		key    string
	}
	at := make(map[of]string)
	for i := range events {
		e := &events[i]
		if e.Socket != 0 || e.Kind != subscribed && e.Kind != surfaced {
			continue
		}
		who := of{e.Client, e.Key}
		if at[who] != "" && at[who] != e.Node && e.Missed >= 0 {
			n++
		}
		at[who] = e.Node
	}
	return n
}

// wentOn counts the times that a subscription over HTTP was taken up again elsewhere.
func wentOn(events []event) (n int) {
	at := make(map[int]string)
	for i := range events {
		e := &events[i]
		if e.Kind != subscribed || e.Socket == 0 {
			continue
		}
		if e.Record != "" && at[e.Client] != e.Node {
			n++
		}
		at[e.Client] = e.Node
	}
	return n
}
