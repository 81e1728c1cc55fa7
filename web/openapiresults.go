package web

import (
	"slices"
	"strconv"
)

// resultStatuses are those of problems that a request's result may be asked for in vain
// with, besides the service's own.
var resultStatuses = []int{400, 404, 500, 503, 504}

// resultPath describes the requests whose answers are collected.
func resultPath() object {
	get := object{
		"200": object{
			"description": "The outcome, as the call itself would have been answered: with the service's own status, or a problem.",
			"headers":     headerRefs(callHeaders), "content": resultContent(),
		},
		"202": pendingResponse(),
		"410": resultProblem("The request is unknown, or its time is over."),
	}
	cancel := object{
		"204": object{"description": "Its outcome is cancelled."},
		"409": resultProblem("It has its outcome already, or is a socket's and is cancelled there."),
		"410": get["410"],
	}
	for _, status := range resultStatuses {
		get[strconv.Itoa(status)] = problemRef(status)
	}
	cancel["503"] = problemRef(503)
	return object{
		"summary": "A request whose answer is collected",
		"parameters": []object{{
			"name": "id", "in": "path", "required": true, "description": "as Location and Parley-Request-Id have it", "schema": object{"type": "string"},
		}},
		"get": object{
			"operationId": "result", "tags": []string{"gateway"}, "summary": "Collects the answer of a request that was made with Prefer: respond-async or Idempotency-Key, at any node",
			"parameters": []object{{
				"name": "wait", "in": "query", "description": "how long to wait for it: seconds, or a duration such as 1m30s, at most " + longestPoll.String(),
				"schema": object{"type": "string"}, "example": "30s",
			}},
			"responses": get,
		},
		"delete": object{"operationId": "cancel", "tags": []string{"gateway"}, "summary": "Makes its outcome cancelled, unless there is one", "responses": cancel},
	}
}

func resultContent() object {
	all := object{"application/json": object{}, "*/*": object{}}
	for _, f := range forms {
		all[f.accept] = object{"schema": object{"type": "string", "description": f.text}}
	}
	return all
}

func resultProblem(text string) object {
	return object{"description": text, "content": object{"application/problem+json": object{"schema": ref(schemasAt + "Problem")}}}
}

// pendingResponse is the answer while there is no outcome.
func pendingResponse() object {
	return object{
		"description": "The outcome is not there yet.", "headers": headerRefs(slices.Concat(callHeaders, pendingHeaders)),
		"content": object{"application/json": object{"schema": object{
			"type": "object", "required": []string{"request", "state"}, "properties": object{"request": object{"type": "string"}, "state": object{"const": "pending"}},
		}}},
	}
}
