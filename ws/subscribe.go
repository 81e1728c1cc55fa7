package ws

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"parley/routing"
)

// subscribe has events pushed to the client. The answer comes once the gateway knows
// of it: events from then on are pushed.
func (c *conn) subscribe(p *parser, m *message, to *batch) *routing.Error {
	feed, e := p.feed(m.params)
	if e != nil {
		return e
	}
	if to != nil {
		return invalid("$/subscribe is not said in a batch")
	}
	c.called = true // $/hello would end this session
	id := append([]byte(nil), m.id...)
	return c.session.Subscribe(feed, func(e *routing.Error) {
		switch {
		case e != nil:
			c.server.o.Observer.Count(routing.Refusals, string(e.Word))
			c.sendText(c.server.appendError(nil, id, e))
		case len(id) > 0:
			c.sendText(appendResult(nil, id, []byte("true")))
		}
	})
}

// unsubscribe ends a subscription, and tells whether there was one.
func (c *conn) unsubscribe(p *parser, params []byte) (bool, *routing.Error) {
	feed, e := p.feed(params)
	if e != nil {
		return false, e
	}
	return c.session.Unsubscribe(feed), nil
}

// feed reads params that name a topic, and a key unless all of the topic is meant.
func (p *parser) feed(params []byte) (feed routing.Feed, e *routing.Error) {
	if params == nil {
		return feed, badParams("params.topic and params.key are missing")
	}
	keyed := false
	e = p.each(params, "params", func(name, value []byte) *routing.Error {
		var at *string
		switch string(unquote(name)) {
		case "topic":
			at = &feed.Topic
		case "key":
			at, keyed = &feed.Key, true
		default:
			return nil
		}
		if jsontext.Value(value).Kind() != '"' {
			return badParams("params.%s must be a string", unquote(name))
		}
		*at = string(unquote(value))
		return nil
	})
	if e == nil && (feed.Topic == "" || keyed && feed.Key == "") {
		e = badParams("params.topic and params.key must not be empty")
	}
	return feed, asParams(e)
}

// appendPush appends an event that no request asked for.
func appendPush(dst []byte, d *routing.Delivery) (_ []byte, isJSON bool) {
	dst = append(dst, head+`"method":"$/push","params":{"topic":`...)
	dst = appendText(dst, d.Push.Feed.Topic)
	dst = append(dst, `,"key":`...)
	dst = appendText(dst, d.Push.Feed.Key)
	dst = append(dst, `,"event":`...)
	dst = appendText(dst, d.Reply.From.String())
	if d.Push.Missed > 0 {
		dst = append(dst, `,"missed":`...)
		dst = strconv.AppendInt(dst, int64(d.Push.Missed), 10)
	}
	dst = append(dst, `,"data":`...)
	dst, isJSON = appendPayload(dst, d.Reply.Body)
	return append(dst, '}'), isJSON
}
