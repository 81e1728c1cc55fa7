package web

// feedPath describes the events that no request asks for.
func feedPath() object {
	parameters := []object{
		{"name": "topic", "in": "path", "required": true, "description": "one that clients may subscribe to", "schema": object{"type": "string"}},
		{"name": "key", "in": "query", "description": "the record key of the events; without it all of the topic's, where that is allowed, each as an object with key and data", "schema": object{"type": "string", "minLength": 1}},
		{"name": "Last-Event-ID", "in": "header", "description": "the id of the newest event that the caller has: it gets those behind it, or is told by an event named missed that it has missed some", "schema": object{"type": "string"}},
	}
	return object{
		"summary": "The events of a topic about a key",
		"get": object{
			"operationId": "events", "tags": []string{"gateway"}, "summary": "Answers with the events of a topic about a key, as they happen", "parameters": parameters,
			"responses": object{
				"200": object{"description": "Server-sent events, until either side ends them: id names the record, as topic/partition/offset; of all of a topic it also says where the caller is in each partition.", "content": object{
					"text/event-stream": object{"schema": object{"type": "string"}},
				}},
				"400": problemRef(400), "403": problemRef(403), "503": problemRef(503),
			},
		},
	}
}
