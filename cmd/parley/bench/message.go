package bench

import "bytes"

// frame is what the load generator needs of a message from the gateway. The
// slices point into the message.
type frame struct {
	id, result, failure, method, params, seq []byte
}

// parse reads the outer members of a JSON-RPC message. It trusts the gateway
// to send valid JSON, and answers false where it can tell that it did not.
func parse(message []byte) (f frame, ok bool) {
	ok = members(message, func(name, value []byte) {
		switch string(name) {
		case "id":
			f.id = value
		case "result":
			f.result = value
		case "error":
			f.failure = value
		case "method":
			f.method = value
		case "params":
			f.params = value
		case "seq":
			f.seq = value
		}
	})
	return f, ok
}

// word is the stable word of an error object: its data.code, else its number.
func (f *frame) word() string {
	var number, word []byte
	members(f.failure, func(name, value []byte) {
		switch string(name) {
		case "code":
			number = value
		case "data":
			members(value, func(name, value []byte) {
				if string(name) == "code" {
					word = bytes.Trim(value, `"`)
				}
			})
		}
	})
	if len(word) == 0 {
		word = number
	}
	if len(word) == 0 {
		return "error"
	}
	return string(word)
}

// number reads an unsigned whole number.
func number(b []byte) (n uint64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' || n > 1<<59 {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, len(b) > 0
}

// members calls f for each member of the JSON object in b, with the name as it
// is spelled and the value's text, and answers whether b looks like an object.
func members(b []byte, f func(name, value []byte)) bool {
	b = space(b)
	if len(b) == 0 || b[0] != '{' {
		return false
	}
	for b = space(b[1:]); len(b) > 0 && b[0] != '}'; {
		name := b[:valueEnd(b)]
		rest := space(b[len(name):])
		if len(name) < 2 || name[0] != '"' || len(rest) == 0 || rest[0] != ':' {
			return false
		}
		rest = space(rest[1:])
		value := rest[:valueEnd(rest)]
		if len(value) == 0 {
			return false
		}
		f(name[1:len(name)-1], value)
		if b = space(rest[len(value):]); len(b) > 0 && b[0] == ',' {
			b = space(b[1:])
		}
	}
	return len(b) > 0
}

func space(b []byte) []byte { return bytes.TrimLeft(b, " \t\r\n") }

// valueEnd is the length of the JSON value that b starts with; 0 for none.
func valueEnd(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	switch b[0] {
	case '"':
		return stringEnd(b)
	case '{', '[':
		return containerEnd(b)
	}
	if end := bytes.IndexAny(b, " \t\r\n,:]}"); end >= 0 {
		return end
	}
	return len(b)
}

func stringEnd(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

func containerEnd(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			n := stringEnd(b[i:])
			if n == 0 {
				return 0
			}
			i += n - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}
