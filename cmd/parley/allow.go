package main

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"

	"parley/kafka"
	"parley/routing"
)

// compileRule reads an expression in CEL that is true of those who may:
//
//	claims    what the caller's token says, a map
//	subject   who the caller is, "" for nobody in particular, of whom there are no claims
//
// such as "clerk" in claims.roles. What cannot be answered, since a claim is missing or of
// another kind, is false.
func compileRule(text string) (*routing.Rule, error) {
	program, err := kafka.Compile(text, cel.BoolType, cel.Variable("claims", cel.MapType(cel.StringType, cel.DynType)), cel.Variable("subject", cel.StringType))
	if err != nil {
		return nil, err
	}
	return routing.NewRule(func(c *routing.Caller) bool {
		claims := make(map[string]any)
		if c != nil && json.Unmarshal(c.Claims, &claims) != nil {
			return false
		}
		value, _, err := program.Eval(map[string]any{"claims": claims, "subject": c.Name()})
		return err == nil && value == types.True
	}), nil
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
