package main

// demoDescriptions are what the demo services say of themselves, as settings of
// theirs. The schemas say what shape a request has; what the shop sells is its own
// to say.
var demoDescriptions = map[string]map[string]string{
	"orders": {
		"description": "Prices an order and accepts it.",
		"schema.request": `{"type":"object","required":["items"],"properties":{
			"customer":{"type":"string","description":"who orders: c-1 to c-5","examples":["c-1"]},
			"items":{"type":"array","items":{"$ref":"#/$defs/item"}}},
			"$defs":{"item":{"type":"object","required":["sku","quantity"],"properties":{
				"sku":{"type":"string","description":"cocoa, coffee, mug, sugar or tea","examples":["tea"]},
				"quantity":{"type":"integer","description":"1 to 99","examples":[2]}}}}}`,
		"schema.reply": `{"type":"object","properties":{
			"order":{"type":"string"},"state":{"const":"ACCEPTED"},"total":{"type":"string"},"currency":{"const":"EUR"},"customer":{"type":"string"},
			"items":{"type":"array","items":{"type":"object","properties":{
				"sku":{"type":"string"},"quantity":{"type":"integer"},"price":{"type":"string"},"sum":{"type":"string"}}}}}}`,
	},
	"basket": {
		"description": "Keeps what a customer has put aside. With the basket's name as the record key, requests about one basket stay in order.",
		"schema.request": `{"type":"object","examples":[{"basket":"b-1","add":{"sku":"tea","quantity":1}}],"properties":{
			"basket":{"type":"string"},
			"add":{"type":"object","properties":{"sku":{"type":"string"},"quantity":{"type":"integer"}}},
			"remove":{"type":"object","properties":{"sku":{"type":"string"}}}}}`,
	},
	"customer": {
		"description":    "Looks a customer up.",
		"schema.request": `{"type":"object","properties":{"customer":{"type":"string","description":"c-1 to c-5","examples":["c-1"]}},"required":["customer"]}`,
		"schema.reply": `{"type":"object","properties":{"customer":{"type":"string"},"name":{"type":"string"},"city":{"type":"string"},
			"since":{"type":"string","format":"date"}}}`,
	},
	"echo": {"description": "Answers with the bytes that it was sent."},
}
