package main

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// pricesService is an HTTP service that knows nothing of Kafka. `parley dev` puts it
// behind a topic as `parley worker` does.
const pricesService = "prices"

// newPrices makes the HTTP service: all prices at /, one below it, and one for a caller
// on a socket, whose payload is posted to /.
func newPrices() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, priceList) })
	mux.HandleFunc("GET /{sku}", func(w http.ResponseWriter, r *http.Request) { writePrice(w, r.PathValue("sku")) })
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ SKU string }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			writeJSON(w, http.StatusBadRequest, map[string]string{"message": `ask for one thing: {"sku":"tea"}`})
			return
		}
		writePrice(w, asked.SKU)
	})
	return mux
}

func writePrice(w http.ResponseWriter, sku string) {
	price, known := priceList[sku]
	if !known {
		writeJSON(w, http.StatusNotFound, map[string]string{"message": fmt.Sprintf("there is no %q: we sell cocoa, coffee, mug, sugar and tea", sku)})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"sku": sku, "price": price, "currency": "EUR"})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // a bug: nothing that is written can fail
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // who has left needs none
}

// pricesFlags configure the service at a gateway.
func pricesFlags() []string {
	const service = "--services." + pricesService
	return []string{
		service + ".topic", defaultService(pricesService).Topic, service + ".cancel",
		service + ".description", "An ordinary HTTP service behind parley worker: GET what the shop sells, or one thing's price by its path.",
		service + ".schema.request", `{"type":"object","required":["sku"],"properties":{"sku":{"type":"string","description":"cocoa, coffee, mug, sugar or tea","examples":["tea"]}}}`,
	}
}
