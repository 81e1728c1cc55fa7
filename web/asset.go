package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"path"
	"time"
)

var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
	".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon", ".webp": "image/webp",
	".json": "application/json", ".woff2": "font/woff2",
}

// asset is a file with a validator, so that browsers ask but seldom load.
type asset struct {
	name, contentType, tag string
	body                   []byte
}

func newAsset(name string, body []byte) *asset {
	sum := sha256.Sum256(body)
	return &asset{
		name: path.Base(name), contentType: contentTypes[path.Ext(name)], body: body,
		tag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
	}
}

func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Etag"] = []string{a.tag}
	h["Cache-Control"] = []string{"no-cache"}
	h["X-Content-Type-Options"] = nosniff
	if a.contentType != "" {
		h["Content-Type"] = []string{a.contentType}
	}
	http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.body))
}
