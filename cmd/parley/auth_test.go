package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/twmb/franz-go/pkg/kgo"
)

// issuer makes tokens, and publishes the key that it signs them with.
type issuer struct {
	t    *testing.T
	url  string
	key  atomic.Pointer[ecdsa.PrivateKey]
	kids atomic.Int32
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{t: t}
	i.rotate()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := jose.JSONWebKey{Key: &i.key.Load().PublicKey, KeyID: fmt.Sprint(i.kids.Load()), Algorithm: "ES256", Use: "sig"}
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key}})
	}))
	t.Cleanup(server.Close)
	i.url = server.URL
	return i
}

// rotate signs with a new key from now on.
func (i *issuer) rotate() {
	i.key.Store(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)))
	i.kids.Add(1)
}

// token is one of a subject with a role, good for so long.
func (i *issuer) token(subject, role string, life time.Duration) string {
	options := (&jose.SignerOptions{}).WithHeader("kid", fmt.Sprint(i.kids.Load()))
	signer := must(jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: i.key.Load()}, options))
	claims := map[string]any{"sub": subject, "iss": "tests", "role": role, "exp": float64(time.Now().Add(life).UnixMilli()) / 1000}
	return must(jwt.Signed(signer).Claims(claims).Serialize())
}

// guarded is a cluster of three nodes whose callers show tokens of an issuer.
func guarded(t *testing.T) (*cluster, *issuer) {
	c, i := newCluster(t, map[string]string{"once": "murmur2", "later": "murmur2"}), newIssuer(t)
	c.extra = fmt.Sprintf(`  private: {topic: %s, allow: 'claims.role == "clerk"'}
auth: {jwt: {algorithms: [ES256], jwks: [%q], issuer: tests, leeway: 0s}}
subscriptions: {topics: [%s], allow: {%s: 'claims.role == "clerk"'}}
`, c.topic("once"), i.url, c.topic("events"), c.topic("events"))
	for _, name := range []string{"a", "b", "c"} {
		c.start(name)
	}
	c.serve("once", byKey, transforms["digest"])
	return c, i
}

// greet says hello on a new socket of a node, and answers the welcome.
func (p *process) greet(t *testing.T, ctx context.Context, params string) (*websocket.Conn, map[string]any) {
	t.Helper()
	conn, _, err := websocket.Dial(ctx, strings.Replace(p.url, "http", "ws", 1)+"/ws", &websocket.DialOptions{Subprotocols: []string{"parley.v1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	got := told(t, ctx, conn, `{"jsonrpc":"2.0","method":"$/hello","params":`+params+`}`)
	welcome, _ := got["params"].(map[string]any)
	if got["method"] != "$/welcome" {
		t.Fatalf("no welcome: %v", got)
	}
	return conn, welcome
}

// told says a frame, unless it is "", and answers what comes next.
func told(t *testing.T, ctx context.Context, conn *websocket.Conn, frame string) (got map[string]any) {
	t.Helper()
	if frame != "" {
		if err := conn.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
			t.Fatal(err)
		}
	}
	_, text, err := conn.Read(ctx)
	if err != nil || json.Unmarshal(text, &got) != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return got
}

// word is the word of an error, "" for a result.
func word(message map[string]any) any {
	failed, _ := message["error"].(map[string]any)
	data, _ := failed["data"].(map[string]any)
	return data["code"]
}

// Two callers use three nodes. What one asks for the other cannot learn of, under the
// same key each gets its own; who has not the role may neither call the service nor
// follow the topic that want it. The service sees who asks.
func TestTwoSubjects(t *testing.T) {
	c, i := guarded(t)
	a, b, d := c.nodes[0], c.nodes[1], c.nodes[2]
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	clerk, bob := i.token("ann", "clerk", time.Hour), i.token("bob", "guest", time.Hour)
	asks := func(p *process, method, path, token string, more ...string) asked {
		t.Helper()
		got, err := p.ask(ctx, method, path, token[:1], append(more, "Authorization: Bearer "+token)...)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	made := asks(a, "POST", "/services/once", clerk, "Prefer: respond-async")
	at := made.header.Get("Location")
	if got := asks(b, "GET", at+"?wait=1", bob); got.status != http.StatusGone || !strings.Contains(got.body, "unknown_request") {
		t.Errorf("another's result: %d %s", got.status, got.body)
	}
	if got := asks(b, "DELETE", at, bob); got.status != http.StatusGone {
		t.Errorf("another cancels: %d %s", got.status, got.body)
	}
	if got := asks(d, "GET", at+"?wait=30s", clerk); got.status != http.StatusOK {
		t.Errorf("one's own result: %d %s", got.status, got.body)
	}
	key := "Idempotency-Key: " + c.prefix
	x, y := asks(a, "POST", "/services/once", clerk, key), asks(b, "POST", "/services/once", bob, key)
	z := asks(d, "POST", "/services/once", bob, key)
	if x.status != 200 || y.status != 200 || x.header.Get("Parley-Request-Id") == y.header.Get("Parley-Request-Id") || y.header.Get("Parley-Request-Id") != z.header.Get("Parley-Request-Id") {
		t.Errorf("one key: %v, %v, %v", x, y, z)
	}
	for path, want := range map[string]int{"/services/private": 403, "/events/" + c.topic("events") + "?key=k": 403, "/services/once": 200} {
		method := "POST"
		if strings.HasPrefix(path, "/events/") {
			method = "GET"
		}
		if got := asks(b, method, path, bob); got.status != want {
			t.Errorf("%s by a guest: %d %s", path, got.status, got.body)
		}
	}
	subscribe := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"$/subscribe","params":{"topic":%q,"key":"k"}}`, c.topic("events"))
	for token, want := range map[string]any{clerk: nil, bob: "forbidden"} {
		conn, _ := d.greet(t, ctx, fmt.Sprintf(`{"token":%q}`, token))
		for _, frame := range []string{subscribe, `{"jsonrpc":"2.0","id":2,"method":"private","params":1}`} {
			if got := told(t, ctx, conn, frame); word(got) != want {
				t.Errorf("%s: %v", frame, got)
			}
		}
	}
	if got := c.metric(`parley_refused_total{reason="forbidden"}`); got != 4 {
		t.Errorf("%v refused", got)
	}
	c.onlyFrom(ctx, "once", 5, "ann", "bob")
}

// onlyFrom reads the first records of a service's topic: each must have one of these
// subjects.
func (c *cluster) onlyFrom(ctx context.Context, service string, records int, subjects ...string) {
	c.t.Helper()
	client := must(kgo.NewClient(kgo.SeedBrokers(c.kafka), kgo.ConsumeTopics(c.topic(service)), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())))
	defer client.Close()
	for records > 0 && ctx.Err() == nil {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			records--
			for _, h := range r.Headers {
				for _, subject := range subjects {
					if h.Key == "parley-subject" && string(h.Value) == subject {
						return
					}
				}
			}
			c.t.Errorf("a record is nobody's: %v", r.Headers)
		})
	}
}

// A token expires while its request is open: the socket is closed 4401. Meanwhile the
// issuer has changed its key. Another subject does not get the session, at whatever node;
// the same does with a new token, and with it the answer that has come.
func TestTokenExpiresAcrossNodes(t *testing.T) {
	c, i := guarded(t)
	a, b, d := c.nodes[0], c.nodes[1], c.nodes[2]
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	conn, mine := a.greet(t, ctx, fmt.Sprintf(`{"token":%q}`, i.token("ann", "guest", 2*time.Second)))
	request := fmt.Sprintf(`{"jsonrpc":"2.0","id":7,"method":"later","params":1,"meta":{"idempotencyKey":%q}}`, c.prefix)
	if err := conn.Write(ctx, websocket.MessageText, []byte(request)); err != nil {
		t.Fatal(err)
	}
	if _, text, err := conn.Read(ctx); websocket.CloseStatus(err) != 4401 {
		t.Fatalf("%v: %s", err, text)
	}
	i.rotate()
	fresh := i.token("ann", "guest", time.Hour)
	b.await(t, "told of the new key", func() bool {
		got, err := b.ask(ctx, "GET", "/openapi.json", "", "Authorization: Bearer "+fresh)
		return err == nil && got.status == http.StatusOK
	})
	d.await(t, "told of the new key", func() bool {
		got, err := d.ask(ctx, "GET", "/openapi.json", "", "Authorization: Bearer "+fresh)
		return err == nil && got.status == http.StatusOK
	})
	resume := fmt.Sprintf(`"resume":{"session":%q,"secret":%q,"open":[7]}`, mine["session"], mine["secret"])
	if _, got := d.greet(t, ctx, fmt.Sprintf(`{"token":%q,%s}`, i.token("bob", "clerk", time.Hour), resume)); got["resumed"] != false {
		t.Errorf("another subject resumes: %v", got)
	}
	conn, got := b.greet(t, ctx, fmt.Sprintf(`{"token":%q,%s}`, fresh, resume))
	if got["resumed"] != true || got["session"] != mine["session"] {
		t.Errorf("resumed: %v", got)
	}
	c.serve("later", byKey, transforms["same"])
	if got := told(t, ctx, conn, ""); fmt.Sprint(got["id"], got["result"]) != "7 1" {
		t.Errorf("the answer: %v", got)
	}
	if got := c.metric(`parley_refused_total{reason="token_expired"}`); got != 1 {
		t.Errorf("%v closed", got)
	}
	for _, p := range c.nodes {
		if strings.Contains(p.output.String(), fresh) {
			t.Errorf("node %s logs a token", p.name)
		}
	}
}

// Where callers show tokens the documents say so, in words that their makers' validators
// know, and a person in a real browser enters one.
func TestPagesTakeAToken(t *testing.T) {
	dir := others(t)
	c, i := newCluster(t, map[string]string{"once": "murmur2"}), newIssuer(t)
	c.extra = fmt.Sprintf("auth: {jwt: {algorithms: [ES256], jwks: [%q], issuer: tests}, cookie: session}\norigins: [\"https://shop.example\"]\n", i.url)
	c.start("a")
	c.serve("once", byKey, transforms["same"])
	token := i.token("ann", "clerk", time.Hour)
	t.Log(runOther(t, dir, "node", copyInto(t, dir, "described.mjs"), c.nodes[0].url, token))
	t.Log(runOther(t, dir, "node", copyInto(t, dir, "token.mjs"), c.nodes[0].url, token))
}
