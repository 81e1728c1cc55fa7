package ws

import (
	"cmp"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync"

	"parley/routing"
)

// discovery has the answers to rpc.discover, by the names of the services that a caller
// may use: as many as callers differ.
type discovery struct {
	mu   sync.Mutex
	made map[string][]byte
}

// mostDiscovered bounds the answers that are kept.
const mostDiscovered = 64

// of answers the document that tells of these services.
func (d *discovery) of(services []*routing.Service) []byte {
	var names strings.Builder
	for _, s := range services {
		names.WriteString(s.Name + " ")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	made := d.made[names.String()]
	if made == nil {
		if d.made == nil {
			d.made = make(map[string][]byte)
		}
		if made = openRPC(services); len(d.made) < mostDiscovered {
			d.made[names.String()] = made
		}
	}
	return made
}

// openRPC answers rpc.discover: an OpenRPC document of the services. Where the
// gateway does not know what a service takes or gives, any JSON will do.
func openRPC(services []*routing.Service) []byte {
	doc := rpcDocument{OpenRPC: "1.3.2", Methods: []rpcMethod{}}
	doc.Info.Title, doc.Info.Version = "Services behind Parley", "1"
	doc.Info.Description = "Each method is a service. params is its payload, any JSON value, and result its reply; " +
		`bytes that are not JSON are {"$bytes":"<base64>"} both ways. A meta member beside params sets the record key, timeout (ms), headers and want; ` +
		"of a view, which answers with its key's newest event, also wait (ms), until (a condition's name) and etag."
	doc.Components.Errors, doc.Components.Schemas = make(map[string]rpcError), make(map[string]json.RawMessage)
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
		structure, params := doc.params(s)
		doc.Methods = append(doc.Methods, rpcMethod{
			Name: s.Name, Description: s.Description, ParamStructure: structure,
			Params: params, Result: rpcContent{Name: "reply", Schema: doc.schema(s.Name+".reply", s.Reply)},
			Errors: errors, Timeout: s.Timeout.Milliseconds(), MaxTimeout: longest.Milliseconds(),
			View: s.View != nil, Until: conditions(s),
		})
	}
	text, err := json.Marshal(doc)
	if err != nil {
		panic(err) // a bug: nothing in the document can fail
	}
	return text
}

// conditions are those that a caller may wait for, by name, as they are written.
func conditions(s *routing.Service) map[string]string {
	all := make(map[string]string, len(s.Until))
	for name, condition := range s.Until {
		all[name] = condition.Text
	}
	return all
}

// schema files a service's schema under a name and answers how to refer to it.
func (d *rpcDocument) schema(name string, s routing.Schema) any {
	if len(s) == 0 {
		return struct{}{} // any value
	}
	at := "#/components/schemas/" + name
	d.Components.Schemas[name] = s.At(at)
	return rpcRef{at}
}

// params answers what a service takes: the members of an object by their names, and
// anything else as one.
func (d *rpcDocument) params(s *routing.Service) (structure string, params []rpcContent) {
	whole := d.schema(s.Name+".request", s.Request)
	var object struct {
		Properties map[string]json.RawMessage `json:"properties"`
		Required   []string                   `json:"required"`
	}
	if len(s.Request) == 0 || json.Unmarshal(s.Request, &object) != nil || len(object.Properties) == 0 {
		return "either", []rpcContent{{Name: "payload", Schema: whole}}
	}
	for name := range object.Properties {
		at := whole.(rpcRef).Ref + "/properties/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
		params = append(params, rpcContent{Name: name, Required: slices.Contains(object.Required, name), Schema: rpcRef{at}})
	}
	slices.SortFunc(params, func(a, b rpcContent) int { return cmp.Compare(a.Name, b.Name) })
	return "by-name", params
}

type rpcDocument struct {
	OpenRPC string `json:"openrpc"`
	Info    struct {
		Title       string `json:"title"`
		Description string `json:"description"`
		Version     string `json:"version"`
	} `json:"info"`
	Methods    []rpcMethod `json:"methods"`
	Components struct {
		Errors  map[string]rpcError        `json:"errors"`
		Schemas map[string]json.RawMessage `json:"schemas"`
	} `json:"components"`
}

type rpcMethod struct {
	Name           string       `json:"name"`
	Description    string       `json:"description,omitempty"`
	ParamStructure string       `json:"paramStructure"`
	Params         []rpcContent `json:"params"`
	Result         rpcContent   `json:"result"`
	Errors         []rpcRef     `json:"errors"`
	Timeout        int64        `json:"x-timeout"`     // ms, unless meta.timeout says otherwise
	MaxTimeout     int64        `json:"x-max-timeout"` // ms, the most that meta.timeout may be

	View  bool              `json:"x-view,omitempty"`
	Until map[string]string `json:"x-until,omitempty"` // what meta.until may name, and what that is
}

type rpcContent struct {
	Name     string `json:"name"`
	Required bool   `json:"required,omitempty"`
	Schema   any    `json:"schema"`
}

type rpcRef struct {
	Ref string `json:"$ref"`
}

type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}
