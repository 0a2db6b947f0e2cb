package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// stub is a running server, and what a test asks it.
type stub struct {
	*testing.T
	url string
}

func start(t *testing.T) stub {
	t.Helper()
	running := httptest.NewServer(newServer())
	t.Cleanup(running.Close)
	return stub{t, running.URL}
}

// answer is a response, read to its end.
type answer struct {
	status  int
	headers http.Header
	body    string
}

func (s stub) ask(method, path, body string, headers ...string) answer {
	s.Helper()
	request, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	for n := 0; n < len(headers); n += 2 {
		request.Header.Set(headers[n], headers[n+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		s.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(read)}
}

func (s stub) expect(got answer, status int, parts ...string) answer {
	s.Helper()
	if got.status != status {
		s.Fatalf("status %d instead of %d: %s", got.status, status, got.body)
	}
	for _, part := range parts {
		if !strings.Contains(got.body, part) {
			s.Fatalf("no %s in %s", part, got.body)
		}
	}
	return got
}

func (s stub) create(headers ...string) string {
	s.Helper()
	got := s.expect(s.ask("POST", "/b/a/key?uploads", "", headers...), 200, "<Key>a/key</Key>")
	return regexp.MustCompile("<UploadId>(.*)</UploadId>").FindStringSubmatch(got.body)[1]
}

func named(etags ...string) string {
	var body strings.Builder
	for n, etag := range etags {
		fmt.Fprintf(&body, "<Part><ETag>&quot;%s&quot;</ETag><PartNumber>%d</PartNumber></Part>", etag, n+1)
	}
	return "<CompleteMultipartUpload>" + body.String() + "</CompleteMultipartUpload>"
}

func TestAnUploadIsKeptUntilItBecomesAnObject(t *testing.T) {
	s := start(t)
	id := s.create("x-amz-meta-token", "t", "content-type", "text/x")
	at := "/b/a/key?uploadId=" + id
	const md5OfAbc = "900150983cd24fb0d6963f7d28e17f72"
	put := s.expect(s.ask("PUT", at+"&partNumber=1", "abc", "x-amz-checksum-crc64nvme", "sum"), 200)
	if put.headers.Get("ETag") != `"`+md5OfAbc+`"` || put.headers.Get("x-amz-checksum-crc64nvme") != "sum" {
		t.Fatal(put.headers)
	}
	s.expect(s.ask("GET", at, ""), 200, md5OfAbc, "<Size>3</Size>", "<ChecksumCRC64NVME>sum</ChecksumCRC64NVME>")
	s.expect(s.ask("GET", "/b?uploads&prefix=a/", ""), 200, id)
	s.expect(s.ask("POST", at, named("other")), 400, "InvalidPart")
	s.expect(s.ask("POST", at, named(md5OfAbc), "x-amz-checksum-crc64nvme", "all"), 200, "-1&#34;")
	s.expect(s.ask("POST", at, named(md5OfAbc)), 200) // Once more, as S3 allows.
	s.expect(s.ask("GET", at, ""), 404, "NoSuchUpload")
	head := s.expect(s.ask("HEAD", "/b/a/key", "", "x-amz-checksum-mode", "ENABLED"), 200)
	for name, want := range map[string]string{
		"Content-Length": "3", "Content-Type": "text/x", "X-Amz-Meta-Token": "t", "X-Amz-Checksum-Crc64nvme": "all",
	} {
		if got := head.headers.Get(name); got != want {
			t.Errorf("%s is %q instead of %q", name, got, want)
		}
	}
}

func TestPartsAreListedPageByPage(t *testing.T) {
	s := start(t)
	id := s.create()
	s.expect(s.ask("POST", "/_stub/fill?bucket=b&key=a/key&count=2500&size=7&uploadId="+id, ""), 200)
	after, pages, parts := "0", 0, 0
	for more := true; more; pages++ {
		page := s.expect(s.ask("GET", "/b/a/key?part-number-marker="+after+"&uploadId="+id, ""), 200).body
		parts += strings.Count(page, "<Part>")
		more = strings.Contains(page, "<IsTruncated>true</IsTruncated>")
		after = regexp.MustCompile("<NextPartNumberMarker>(.*)</NextPartNumberMarker>").FindStringSubmatch(page)[1]
	}
	if pages != 3 || parts != 2500 {
		t.Fatalf("%d parts on %d pages", parts, pages)
	}
	etags := make([]string, 2500)
	for n := range etags {
		etags[n] = fillETag(n + 1)
	}
	s.expect(s.ask("POST", "/b/a/key?uploadId="+id, named(etags...)), 200)
	if size := s.ask("HEAD", "/b/a/key", "").headers.Get("Content-Length"); size != "17500" {
		t.Fatal(size)
	}
}

func TestConditionsAreVerified(t *testing.T) {
	s := start(t)
	first := s.expect(s.ask("PUT", "/b/a/key", "one", "If-None-Match", "*"), 200)
	s.expect(s.ask("PUT", "/b/a/key", "two", "If-None-Match", "*"), 412, "PreconditionFailed")
	id := s.create()
	s.expect(s.ask("PUT", "/b/a/key?partNumber=1&uploadId="+id, "abc"), 200)
	all := named("900150983cd24fb0d6963f7d28e17f72")
	s.expect(s.ask("POST", "/b/a/key?uploadId="+id, all, "If-None-Match", "*"), 412)
	s.expect(s.ask("DELETE", "/b/a/key?uploadId="+id, ""), 204)
	s.expect(s.ask("DELETE", "/b/a/key?uploadId="+id, ""), 404, "NoSuchUpload")
	s.expect(s.ask("GET", "/b/a/key", ""), 200, "one")
	s.expect(s.ask("DELETE", "/b/a/key", "", "If-Match", `"other"`), 412)
	s.expect(s.ask("DELETE", "/b/a/key", "", "If-Match", first.headers.Get("ETag")), 204)
	s.expect(s.ask("HEAD", "/b/a/key", ""), 404)
}

func TestABodyInChunksIsReadWithoutTheirSignatures(t *testing.T) {
	s := start(t)
	body := "3;chunk-signature=0\r\nabc\r\n2\r\nde\r\n0\r\nx-amz-checksum-crc32:sum\r\n\r\n"
	put := s.expect(s.ask("PUT", "/b/a/key", body, "x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"), 200)
	if put.headers.Get("x-amz-checksum-crc32") != "sum" {
		t.Fatal(put.headers)
	}
	if got := s.expect(s.ask("GET", "/b/a/key", ""), 200); got.body != "abcde" {
		t.Fatal(got.body)
	}
}

func TestLargeBodiesAreCountedAndDiscarded(t *testing.T) {
	s := start(t)
	s.expect(s.ask("PUT", "/b/large", strings.Repeat("x", keptBytes+1)), 200)
	if size := s.ask("HEAD", "/b/large", "").headers.Get("Content-Length"); size != fmt.Sprint(keptBytes+1) {
		t.Fatal(size)
	}
	s.expect(s.ask("GET", "/b/large", ""), 501, "NotImplemented")
}

func TestObjectsAreListedPageByPage(t *testing.T) {
	s := start(t)
	for _, key := range []string{"a/2", "a/1", "c/1"} {
		s.expect(s.ask("PUT", "/b/"+key, "x"), 200)
	}
	first := s.ask("GET", "/b?list-type=2&prefix=a/&max-keys=1", "")
	s.expect(first, 200, "<Key>a/1</Key>", "<IsTruncated>true</IsTruncated>")
	next := s.ask("GET", "/b?list-type=2&prefix=a/&continuation-token=a/1", "")
	s.expect(next, 200, "<Key>a/2</Key>", "<KeyCount>1</KeyCount>", "<IsTruncated>false</IsTruncated>")
	s.expect(s.ask("GET", "/b?list-type=2&prefix=d/", ""), 200, "<KeyCount>0</KeyCount>")
}

func TestCallsAreCountedByOperation(t *testing.T) {
	s := start(t)
	s.expect(s.ask("HEAD", "/b", ""), 200)
	s.create()
	s.create()
	var calls map[string]int
	if err := json.Unmarshal([]byte(s.ask("GET", "/_stub/calls", "").body), &calls); err != nil {
		t.Fatal(err)
	}
	if len(calls) != 2 || calls["HeadBucket"] != 1 || calls["CreateMultipartUpload"] != 2 {
		t.Fatal(calls)
	}
	s.expect(s.ask("POST", "/_stub/reset", ""), 200)
	if left := s.ask("GET", "/_stub/calls", "").body; strings.TrimSpace(left) != "{}" {
		t.Fatal(left)
	}
}
