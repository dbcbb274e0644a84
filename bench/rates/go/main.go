// The server that a Go programmer would write for this: net/http, a map from path to bytes, nothing else.
package main

import (
	"log"
	"net/http"
	"os"
	"strconv"
)

type blob struct {
	bytes  []byte
	etag   string
	length string
}

// Arguments: ADDRESS, then PATH ETAG FILE for each that is served.
func main() {
	blobs := map[string]*blob{}
	for rest := os.Args[2:]; len(rest) >= 3; rest = rest[3:] {
		bytes, err := os.ReadFile(rest[2])
		if err != nil {
			log.Fatal(err)
		}
		blobs[rest[0]] = &blob{bytes, rest[1], strconv.Itoa(len(bytes))}
	}
	log.Fatal(http.ListenAndServe(os.Args[1], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		blob := blobs[r.URL.Path]
		if blob == nil {
			http.NotFound(w, r)
			return
		}
		header := w.Header()
		header.Set("Etag", blob.etag)
		header.Set("Cache-Control", "no-cache")
		header.Set("Vary", "Prefer")
		if r.Header.Get("If-None-Match") == blob.etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		header.Set("Content-Length", blob.length)
		header.Set("Content-Type", "application/gzip")
		w.Write(blob.bytes)
	})))
}
