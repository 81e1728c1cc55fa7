package ws

import (
	"cmp"
	"encoding/json"
	"slices"

	"parley/routing"
)

// openRPC answers rpc.discover: an OpenRPC document of the services. The
// gateway does not know what a service takes or gives, so that any JSON will do.
func openRPC(services []*routing.Service) []byte {
	doc := rpcDocument{OpenRPC: "1.3.2", Methods: []rpcMethod{}}
	doc.Info.Title, doc.Info.Version = "Services behind Parley", "1"
	doc.Info.Description = "Each method is a service. params is its payload, any JSON value, and result its reply; " +
		`bytes that are not JSON are {"$bytes":"<base64>"} both ways. A meta member beside params sets the record key, timeout (ms), headers and want.`
	doc.Components.Errors = make(map[string]rpcError)
	var errors []rpcRef
	for word, number := range numbers {
		doc.Components.Errors[string(word)] = rpcError{number, string(word)}
		errors = append(errors, rpcRef{"#/components/errors/" + string(word)})
	}
	slices.SortFunc(errors, func(a, b rpcRef) int { return cmp.Compare(a.Ref, b.Ref) })
	for _, s := range services {
		longest := s.MaxTimeout
		if longest <= 0 {
			longest = maxTimeout
		}
		doc.Methods = append(doc.Methods, rpcMethod{
			Name: s.Name, ParamStructure: "either",
			Params: []rpcContent{{Name: "payload", Schema: anything{}}}, Result: rpcContent{Name: "reply", Schema: anything{}},
			Errors: errors, Timeout: s.Timeout.Milliseconds(), MaxTimeout: longest.Milliseconds(),
		})
	}
	text, err := json.Marshal(doc)
	if err != nil {
		panic(err) // a bug: nothing in the document can fail
	}
	return text
}

// anything is a JSON schema that allows any value.
type anything struct{}

type rpcDocument struct {
	OpenRPC string `json:"openrpc"`
	Info    struct {
		Title       string `json:"title"`
		Description string `json:"description"`
		Version     string `json:"version"`
	} `json:"info"`
	Methods    []rpcMethod `json:"methods"`
	Components struct {
		Errors map[string]rpcError `json:"errors"`
	} `json:"components"`
}

type rpcMethod struct {
	Name           string       `json:"name"`
	ParamStructure string       `json:"paramStructure"`
	Params         []rpcContent `json:"params"`
	Result         rpcContent   `json:"result"`
	Errors         []rpcRef     `json:"errors"`
	Timeout        int64        `json:"x-timeout"`     // ms, unless meta.timeout says otherwise
	MaxTimeout     int64        `json:"x-max-timeout"` // ms, the most that meta.timeout may be
}

type rpcContent struct {
	Name   string   `json:"name"`
	Schema anything `json:"schema"`
}

type rpcRef struct {
	Ref string `json:"$ref"`
}

type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}
