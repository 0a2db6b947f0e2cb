package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	maxParts    = 10_000
	pageSize    = 1_000
	namespace   = `xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`
	isoTime     = "2006-01-02T15:04:05.000Z"
	declaration = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
)

var statuses = map[string]int{
	"InvalidArgument":    http.StatusBadRequest,
	"InvalidPart":        http.StatusBadRequest,
	"InvalidPartOrder":   http.StatusBadRequest,
	"MalformedXML":       http.StatusBadRequest,
	"IncompleteBody":     http.StatusBadRequest,
	"NoSuchKey":          http.StatusNotFound,
	"NoSuchUpload":       http.StatusNotFound,
	"PreconditionFailed": http.StatusPreconditionFailed,
	"NotImplemented":     http.StatusNotImplemented,
}

// call is one request of S3.
type call struct {
	store *store
	w     http.ResponseWriter
	r     *http.Request
	place place
	query url.Values
}

// operation returns the name of the operation that is requested, and what answers it.
func (c *call) operation() (string, func()) {
	asks := func(name string) bool { return c.query.Has(name) }
	inBucket := c.place.key == ""
	switch method := c.r.Method; {
	case method == http.MethodHead && inBucket:
		return "HeadBucket", func() {}
	case method == http.MethodHead:
		return "HeadObject", c.head
	case method == http.MethodGet && inBucket && asks("uploads"):
		return "ListMultipartUploads", c.listUploads
	case method == http.MethodGet && inBucket && asks("list-type"):
		return "ListObjectsV2", c.listObjects
	case method == http.MethodGet && inBucket && asks("location"):
		return "GetBucketLocation", c.location
	case method == http.MethodGet && asks("uploadId"):
		return "ListParts", c.listParts
	case method == http.MethodGet && !inBucket:
		return "GetObject", c.get
	case inBucket || c.r.Header.Get("X-Amz-Copy-Source") != "":
		return "Unknown", func() { c.fail("NotImplemented") }
	case method == http.MethodPost && asks("uploads"):
		return "CreateMultipartUpload", c.create
	case method == http.MethodPost && asks("uploadId"):
		return "CompleteMultipartUpload", c.complete
	case method == http.MethodPut && asks("uploadId"):
		return "UploadPart", c.putPart
	case method == http.MethodPut:
		return "PutObject", c.put
	case method == http.MethodDelete && asks("uploadId"):
		return "AbortMultipartUpload", c.abort
	case method == http.MethodDelete:
		return "DeleteObject", c.remove
	}
	return "Unknown", func() { c.fail("NotImplemented") }
}

func (c *call) create() {
	id := c.store.create(c.place, c.r.Header.Clone())
	if algorithm := c.r.Header.Get("X-Amz-Checksum-Algorithm"); algorithm != "" {
		c.w.Header().Set("X-Amz-Checksum-Algorithm", algorithm)
	}
	c.answer("InitiateMultipartUploadResult", c.named()+element("UploadId", id))
}

func (c *call) putPart() {
	number, err := strconv.Atoi(c.query.Get("partNumber"))
	if err != nil || number < 1 || number > maxParts {
		c.fail("InvalidArgument")
		return
	}
	received, err := receive(c.r)
	if err != nil {
		c.fail("IncompleteBody")
		return
	}
	checksums := checksumsIn(c.r.Header, c.r.Trailer)
	stored := part{received.size, received.etag, checksums, time.Now()}
	if !c.store.putPart(c.place, c.query.Get("uploadId"), number, stored) {
		c.fail("NoSuchUpload")
		return
	}
	c.stored(received.etag, checksums)
}

func (c *call) put() {
	received, err := receive(c.r)
	if err != nil {
		c.fail("IncompleteBody")
		return
	}
	headers, checksums := kept(c.r.Header), checksumsIn(c.r.Header, c.r.Trailer)
	for name, value := range checksums {
		headers.Set(name, value)
	}
	made := &object{
		size: received.size, etag: received.etag, headers: headers, body: received.body,
		modified: time.Now(),
	}
	if code := c.store.put(c.place, made, c.r.Header); code != "" {
		c.fail(code)
		return
	}
	c.stored(received.etag, checksums)
}

// stored answers that a part or an object is stored.
func (c *call) stored(etag string, checksums map[string]string) {
	c.w.Header().Set("ETag", quoted(etag))
	for name, value := range checksums {
		c.w.Header().Set(name, value)
	}
}

func (c *call) complete() {
	body, err := io.ReadAll(c.r.Body)
	if err != nil {
		c.fail("IncompleteBody")
		return
	}
	named, err := namedParts(body)
	if err != nil {
		c.fail("MalformedXML")
		return
	}
	made, code := c.store.complete(c.place, c.query.Get("uploadId"), named, c.r.Header)
	if code != "" {
		c.fail(code)
		return
	}
	checksums := ""
	for name, value := range checksumsIn(made.headers) {
		checksums += element(checksumElements[name], value)
	}
	where := fmt.Sprintf("http://%s/%s/%s", c.r.Host, c.place.bucket, c.place.key)
	inner := element("Location", where) + c.named() + element("ETag", quoted(made.etag)) + checksums
	c.answer("CompleteMultipartUploadResult", inner)
}

// namedParts reads the parts of a CompleteMultipartUpload. A decoder of XML takes 50 ms for 10,000
// of them, for which a caller would wait.
func namedParts(body []byte) ([]namedPart, error) {
	var named []namedPart
	for _, entry := range bytes.Split(body, []byte("</Part>")) {
		number, found := between(entry, "<PartNumber>", "</PartNumber>")
		if !found {
			continue
		}
		etag, _ := between(entry, "<ETag>", "</ETag>")
		value, err := strconv.Atoi(number)
		if err != nil {
			return nil, err
		}
		named = append(named, namedPart{value, html.UnescapeString(etag)})
	}
	return named, nil
}

func between(text []byte, begin, end string) (string, bool) {
	_, rest, found := bytes.Cut(text, []byte(begin))
	if !found {
		return "", false
	}
	inner, _, found := bytes.Cut(rest, []byte(end))
	return string(bytes.TrimSpace(inner)), found
}

func (c *call) abort() {
	if !c.store.abort(c.place, c.query.Get("uploadId")) {
		c.fail("NoSuchUpload")
		return
	}
	c.w.WriteHeader(http.StatusNoContent)
}

func (c *call) remove() {
	if code := c.store.remove(c.place, c.r.Header); code != "" {
		c.fail(code)
		return
	}
	c.w.WriteHeader(http.StatusNoContent)
}

// found returns the object and sends its headers, or answers that there is no such key.
func (c *call) found() *object {
	stored := c.store.get(c.place)
	if stored == nil {
		c.fail("NoSuchKey")
		return nil
	}
	headers := c.w.Header()
	for name, values := range stored.headers {
		if checksumElements[name] == "" || c.r.Header.Get("X-Amz-Checksum-Mode") == "ENABLED" {
			headers[name] = values
		}
	}
	headers.Set("ETag", quoted(stored.etag))
	headers.Set("Content-Length", strconv.FormatInt(stored.size, 10))
	headers.Set("Last-Modified", stored.modified.UTC().Format(http.TimeFormat))
	return stored
}

func (c *call) head() { c.found() }

func (c *call) get() {
	stored := c.store.get(c.place)
	if stored != nil && int64(len(stored.body)) != stored.size {
		c.fail("NotImplemented") // Its bytes were discarded.
		return
	}
	if stored = c.found(); stored != nil {
		_, _ = c.w.Write(stored.body)
	}
}

func (c *call) location() { c.answer("LocationConstraint", "us-east-1") }

// number returns a number of the query, or what it is by default.
func (c *call) number(name string, otherwise int) int {
	if found, err := strconv.Atoi(c.query.Get(name)); err == nil {
		return found
	}
	return otherwise
}

// named returns the elements that repeat the bucket and the key of the request.
func (c *call) named() string {
	return element("Bucket", c.place.bucket) + element("Key", c.place.key)
}

func (c *call) fail(code string) {
	c.w.Header().Set("Content-Type", "application/xml")
	c.w.WriteHeader(statuses[code])
	if c.r.Method != http.MethodHead {
		_, _ = io.WriteString(c.w, declaration+"<Error>"+element("Code", code)+element("Message", code)+"</Error>")
	}
}

func (c *call) answer(name, inner string) {
	c.w.Header().Set("Content-Type", "application/xml")
	_, _ = fmt.Fprintf(c.w, "%s<%s %s>%s</%s>", declaration, name, namespace, inner, name)
}

func element(name, text string) string {
	if strings.ContainsAny(text, "<>&\"'\r\n") {
		var escaped strings.Builder
		_ = xml.EscapeText(&escaped, []byte(text))
		text = escaped.String()
	}
	return "<" + name + ">" + text + "</" + name + ">"
}

func quoted(etag string) string { return `"` + etag + `"` }
