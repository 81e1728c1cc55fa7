// Command minimal is the smallest useful coder/websocket server, an echo: what
// an idle session of a gateway is compared with. GET /debug/pprof/heap tells
// its memory, as the gateway's own does.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof"

	"github.com/coder/websocket"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address")
	flag.Parse()
	http.HandleFunc("GET /ws", serve)
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready:", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}

func serve(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	var message bytes.Buffer
	for {
		kind, reader, err := conn.Reader(context.Background())
		if err != nil {
			return
		}
		message.Reset()
		if _, err := message.ReadFrom(reader); err != nil {
			return
		}
		if conn.Write(context.Background(), kind, message.Bytes()) != nil {
			return
		}
	}
}
