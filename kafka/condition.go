package kafka

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// conditionCost bounds what one evaluation may do, in CEL's units: a field or a
	// comparison is one, and a macro over a list one and more for each element.
	conditionCost = 100_000
	// conditionText bounds an expression's length.
	conditionText = 8 << 10
)

// Condition is an expression in CEL that is true or false of an event:
//
//	event     the record's value, as JSON
//	key       the record's key, text
//	headers   the record's headers, a map of texts
//
// such as event.state in ["VALIDATED", "FAILED"]. Numbers are compared by value.
// Its methods may be called from any goroutine.
type Condition struct {
	text    string
	program cel.Program
}

// CompileCondition reads a condition. The error says where it is wrong.
func CompileCondition(text string) (*Condition, error) {
	program, err := Compile(text, cel.BoolType, cel.Variable("event", cel.DynType),
		cel.Variable("key", cel.StringType), cel.Variable("headers", cel.MapType(cel.StringType, cel.StringType)))
	if err != nil {
		return nil, err
	}
	return &Condition{text, program}, nil
}

// String is the condition as it was written.
func (c *Condition) String() string { return c.text }

// errNotJSON says that a condition asks for the value of an event that is no JSON.
var errNotJSON = errors.New("the value is not JSON")

// holds tells whether the condition is true of an event.
func (c *Condition) holds(e *eventView) (bool, error) {
	e.bad = false
	value, _, err := c.program.Eval(e)
	if e.bad {
		return false, errNotJSON
	}
	if err != nil {
		return false, err
	}
	return value == types.True, nil
}

// KeyOf is an expression in CEL that answers an entity's key from a request, the
// request's body as JSON: request.order.id. A number is written as JSON writes it.
type KeyOf struct{ program cel.Program }

// CompileKey reads an expression for a key.
func CompileKey(text string) (*KeyOf, error) {
	program, err := Compile(text, cel.StringType, cel.Variable("request", cel.DynType))
	if err != nil {
		return nil, err
	}
	return &KeyOf{program}, nil
}

// Of answers the key that a request's body names.
func (k *KeyOf) Of(body []byte) (string, error) {
	var request any
	if err := json.Unmarshal(body, &request); err != nil {
		return "", errors.New("the request is not JSON")
	}
	value, _, err := k.program.Eval(map[string]any{"request": request})
	if err != nil {
		return "", err
	}
	switch v := value.(type) {
	case types.String:
		return string(v), nil
	case types.Double:
		text, err := json.Marshal(float64(v))
		return string(text), err
	}
	return "", fmt.Errorf("it is a %s and not text", value.Type().TypeName())
}

// Compile reads an expression in CEL, and checks that it answers a type; one that cannot be known
// before is checked later.
func Compile(text string, answers *cel.Type, variables ...cel.EnvOption) (cel.Program, error) {
	if len(text) > conditionText {
		return nil, fmt.Errorf("it is longer than %d bytes", conditionText)
	}
	env, err := cel.NewEnv(append(variables, cel.CrossTypeNumericComparisons(true), cel.ParserRecursionLimit(64))...)
	if err != nil {
		return nil, err
	}
	ast, issues := env.Compile(text)
	if err := issues.Err(); err != nil {
		first := issues.Errors()[0]
		return nil, fmt.Errorf("at %d:%d: %s", first.Location.Line(), first.Location.Column()+1, first.Message)
	}
	if is := ast.OutputType(); !is.IsExactType(answers) && !is.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("it answers %s, not %s", is, answers)
	}
	return env.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(conditionCost))
}

// eventView shows a record to conditions. What they do not ask for is not read. It
// is used by one goroutine, for one record after the other.
type eventView struct {
	record  *kgo.Record
	value   ref.Val // of the JSON; nil where it has not been read
	headers map[string]string
	bad     bool // it was asked for, and is no JSON
}

// show makes the view one of another record.
func (e *eventView) show(record *kgo.Record) { *e = eventView{record: record} }

// ResolveName implements cel.Activation.
func (e *eventView) ResolveName(name string) (any, bool) {
	switch name {
	case "event":
		return e.json(), true
	case "key":
		return string(e.record.Key), true
	case "headers":
		if e.headers == nil {
			e.headers = make(map[string]string, len(e.record.Headers))
			for _, h := range e.record.Headers {
				e.headers[h.Key] = string(h.Value)
			}
		}
		return e.headers, true
	}
	return nil, false
}

// Parent implements cel.Activation.
func (*eventView) Parent() cel.Activation { return nil }

// json is the record's value; null where it is no JSON, which is noted.
func (e *eventView) json() ref.Val {
	if e.value != nil {
		return e.value
	}
	var value any
	if err := json.Unmarshal(e.record.Value, &value); err != nil {
		e.bad = true
		return types.NullValue
	}
	e.value = types.DefaultTypeAdapter.NativeToValue(value)
	return e.value
}
