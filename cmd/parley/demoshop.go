package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// cents is an amount of money.
type cents int

func (c cents) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%d.%02d", c/100, c%100), nil
}

// priceList is what the demo shop sells, in euro cents.
var priceList = map[string]cents{"tea": 620, "coffee": 890, "cocoa": 550, "sugar": 180, "mug": 1100}

// item is one line of an order or a basket.
type item struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
	Price    cents  `json:"price"`
	Sum      cents  `json:"sum"`
}

func (i *item) price() error {
	price, known := priceList[i.SKU]
	if !known {
		return refusal("invalid_order", 422, fmt.Sprintf("there is no %q: we sell cocoa, coffee, mug, sugar and tea", i.SKU))
	}
	if i.Quantity < 1 || i.Quantity > 99 {
		return refusal("invalid_order", 422, fmt.Sprintf("%d of %s cannot be ordered: from 1 to 99", i.Quantity, i.SKU))
	}
	i.Price, i.Sum = price, price*cents(i.Quantity)
	return nil
}

func total(items []item) (sum cents) {
	for _, i := range items {
		sum += i.Sum
	}
	return sum
}

// placeOrder prices an order and accepts it.
func placeOrder(body []byte) ([]byte, error) {
	var order struct {
		Order    string `json:"order"`
		State    string `json:"state"`
		Total    cents  `json:"total"`
		Currency string `json:"currency"`
		Customer string `json:"customer"`
		Items    []item `json:"items"`
	}
	var asked struct {
		Customer string `json:"customer"`
		Items    []struct {
			SKU      string `json:"sku"`
			Quantity int    `json:"quantity"`
		} `json:"items"`
	}
	if err := json.Unmarshal(body, &asked); err != nil {
		return nil, refusal("invalid_order", 422, "an order is an object with a customer and items")
	}
	if len(asked.Items) == 0 || len(asked.Items) > 100 {
		return nil, refusal("invalid_order", 422, "an order has from 1 to 100 items")
	}
	for _, a := range asked.Items {
		i := item{SKU: a.SKU, Quantity: a.Quantity}
		if err := i.price(); err != nil {
			return nil, err
		}
		order.Items = append(order.Items, i)
	}
	order.Order, order.State, order.Currency = "o-"+strings.ToLower(rand.Text()[:8]), "ACCEPTED", "EUR"
	order.Customer, order.Total = asked.Customer, total(order.Items)
	return json.Marshal(order)
}

// baskets keeps what customers have put aside. Requests about one basket carry
// its name as record key, so they meet in one partition, in order.
type baskets struct {
	mu    sync.Mutex
	items map[string][]item
}

// maxBaskets bounds the demo's memory; a full shelf is cleared.
const maxBaskets = 10_000

func newBaskets() *baskets { return &baskets{items: make(map[string][]item)} }

func (b *baskets) serve(body []byte) ([]byte, error) {
	var asked struct {
		Basket string `json:"basket"`
		Add    *struct {
			SKU      string `json:"sku"`
			Quantity int    `json:"quantity"`
		} `json:"add"`
		Remove *struct {
			SKU string `json:"sku"`
		} `json:"remove"`
	}
	if err := json.Unmarshal(body, &asked); err != nil || asked.Basket == "" {
		return nil, refusal("invalid_basket", 422, `say which basket: {"basket":"b-1"}`)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	items := b.items[asked.Basket]
	if asked.Add != nil {
		added, err := addTo(items, item{SKU: asked.Add.SKU, Quantity: asked.Add.Quantity})
		if err != nil {
			return nil, err
		}
		items = added
	}
	if asked.Remove != nil {
		items = slices.DeleteFunc(slices.Clone(items), func(i item) bool { return i.SKU == asked.Remove.SKU })
	}
	if len(b.items) >= maxBaskets {
		clear(b.items)
	}
	b.items[asked.Basket] = items
	if items == nil {
		items = []item{}
	}
	return json.Marshal(map[string]any{"basket": asked.Basket, "items": items, "total": total(items), "currency": "EUR"})
}

// addTo answers the items with one more, which joins those of its kind.
func addTo(items []item, added item) ([]item, error) {
	items = slices.Clone(items)
	at := slices.IndexFunc(items, func(i item) bool { return i.SKU == added.SKU })
	if at < 0 {
		items, at = append(items, item{SKU: added.SKU}), len(items)
	}
	items[at].Quantity += added.Quantity
	return items, items[at].price()
}

type customer struct {
	Customer string `json:"customer"`
	Name     string `json:"name"`
	City     string `json:"city"`
	Since    string `json:"since"`
}

// customers are places, not people.
var customers = []customer{
	{"c-1", "Harbour Café", "Lisbon", "2019-04-02"},
	{"c-2", "North Mill Bakery", "Aarhus", "2020-11-17"},
	{"c-3", "Two Rivers Canteen", "Lyon", "2018-01-30"},
	{"c-4", "Old Town Tea Room", "Kraków", "2022-06-08"},
	{"c-5", "Night Train Bar", "Zürich", "2021-09-21"},
}

// lookUpCustomer answers what is known of a customer.
func lookUpCustomer(body []byte) ([]byte, error) {
	var asked struct {
		Customer string `json:"customer"`
	}
	if err := json.Unmarshal(body, &asked); err != nil || asked.Customer == "" {
		return nil, refusal("invalid_customer", 422, `say which customer: {"customer":"c-1"}`)
	}
	for _, c := range customers {
		if c.Customer == asked.Customer {
			return json.Marshal(c)
		}
	}
	return nil, refusal("not_found", 404, fmt.Sprintf("there is no customer %q: c-1 to c-5 exist", asked.Customer))
}
