// Command stub answers as S3 does, at once, and keeps what it is given: uploads, the sizes, ETags
// and checksums of their parts, and the metadata of objects. It verifies no signature and discards
// the bytes of all but small objects, so that a service in front of it is what a benchmark measures.
//
// Buckets are addressed by path, and every name is a bucket. Besides S3, it answers these:
//
//	GET  /_stub/calls   the number of calls so far, by operation
//	POST /_stub/reset   set these to zero
//	POST /_stub/fill    ?bucket=&key=&uploadId=&count=&size=: store parts 1 to count without a byte
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
)

func main() {
	address := flag.String("address", "127.0.0.1:0", "where to listen")
	flag.BoolVar(&hashAll, "hash", false, "make every ETag the MD5 of the whole body")
	flag.Parse()
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	log.Fatal(http.Serve(listener, newServer()))
}

// server is one set of buckets.
type server struct{ store *store }

func newServer() *server { return &server{newStore()} }

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if name, found := strings.CutPrefix(r.URL.Path, "/_stub/"); found {
		s.control(w, r, name)
		return
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	c := &call{store: s.store, w: w, r: r, place: place{bucket, key}, query: r.URL.Query()}
	operation, answer := c.operation()
	s.store.count(operation)
	answer()
}

func (s *server) control(w http.ResponseWriter, r *http.Request, name string) {
	switch name {
	case "calls":
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(s.store.counts()); err != nil {
			log.Print(err)
		}
	case "reset":
		s.store.reset()
	case "fill":
		query := r.URL.Query()
		count, countErr := strconv.Atoi(query.Get("count"))
		size, sizeErr := strconv.ParseInt(query.Get("size"), 10, 64)
		if countErr != nil || sizeErr != nil {
			http.Error(w, "count and size are numbers", http.StatusBadRequest)
			return
		}
		at := place{query.Get("bucket"), query.Get("key")}
		if !s.store.fill(at, query.Get("uploadId"), count, size) {
			http.Error(w, "no such upload", http.StatusNotFound)
		}
	default:
		http.NotFound(w, r)
	}
}
