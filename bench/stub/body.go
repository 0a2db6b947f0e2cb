package main

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// keptBytes is the largest body that is kept, and whose ETag is its MD5. That of a larger one is
// the MD5 of its beginning, unless hashAll is set: some callers compare.
const keptBytes = 1 << 20

var hashAll bool

var checksumElements = map[string]string{
	"X-Amz-Checksum-Crc32":     "ChecksumCRC32",
	"X-Amz-Checksum-Crc32c":    "ChecksumCRC32C",
	"X-Amz-Checksum-Crc64nvme": "ChecksumCRC64NVME",
	"X-Amz-Checksum-Sha1":      "ChecksumSHA1",
	"X-Amz-Checksum-Sha256":    "ChecksumSHA256",
}

var keptNames = []string{
	"Cache-Control", "Content-Disposition", "Content-Language", "Content-Type",
	"X-Amz-Server-Side-Encryption", "X-Amz-Storage-Class",
}

var buffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// received is the body of a request, which is nil if it was too large to keep.
type received struct {
	size int64
	etag string
	body []byte
}

// receive reads the body of a request to its end.
func receive(r *http.Request) (received, error) {
	body := io.Reader(r.Body)
	if strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		body = &chunkReader{body: bufio.NewReaderSize(r.Body, 64<<10), trailer: r.Header}
	}
	first, err := io.ReadAll(io.LimitReader(body, keptBytes))
	if err != nil {
		return received{}, err
	}
	digest := md5.New()
	digest.Write(first)
	got := received{int64(len(first)), "", first}
	if len(first) == keptBytes {
		buffer := buffers.Get().(*[256 << 10]byte)
		defer buffers.Put(buffer)
		// Only a reader's Read: io.Discard would take smaller steps.
		rest := io.Discard
		if hashAll {
			rest = digest
		}
		more, err := io.CopyBuffer(struct{ io.Writer }{rest}, body, buffer[:])
		if err != nil {
			return received{}, err
		}
		if more > 0 {
			got.size, got.body = got.size+more, nil
		}
	}
	got.etag = hex.EncodeToString(digest.Sum(nil))
	if length := r.ContentLength; length >= 0 && length < got.size {
		return received{}, errors.New("more bytes than announced")
	}
	return got, nil
}

// chunkReader reads a body in the encoding aws-chunked, whose signatures it ignores
// (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html). The checksum after the
// last chunk is added to the headers of the request.
type chunkReader struct {
	body    *bufio.Reader
	trailer http.Header
	left    int64
	ended   bool
}

func (c *chunkReader) Read(into []byte) (int, error) {
	if c.left == 0 && !c.ended {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if c.ended {
		return 0, io.EOF
	}
	read, err := c.body.Read(into[:min(int64(len(into)), c.left)])
	c.left -= int64(read)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && c.left == 0 {
		_, err = c.body.Discard(len("\r\n"))
	}
	return read, err
}

func (c *chunkReader) next() error {
	line, err := c.body.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("no chunk: %w", err)
	}
	size, _, _ := bytes.Cut(bytes.TrimSpace(line), []byte(";"))
	if c.left, err = strconv.ParseInt(string(size), 16, 64); err != nil || c.left > 0 {
		return err
	}
	c.ended = true
	for {
		line, err := c.body.ReadString('\n')
		name, value, found := strings.Cut(strings.TrimSpace(line), ":")
		if found {
			c.trailer.Set(name, strings.TrimSpace(value))
		}
		if err != nil || !found {
			return nil
		}
	}
}

// checksumsIn returns the checksums in headers, by the names of the headers.
func checksumsIn(all ...http.Header) map[string]string {
	var found map[string]string
	for _, headers := range all {
		for name := range checksumElements {
			if value := headers.Get(name); value != "" {
				if found == nil {
					found = map[string]string{}
				}
				found[name] = value
			}
		}
	}
	return found
}

// kept returns the headers of a request that describe the object.
func kept(headers http.Header) http.Header {
	found := http.Header{}
	for _, name := range keptNames {
		if value := headers.Get(name); value != "" {
			found.Set(name, value)
		}
	}
	for name, values := range headers {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			found[name] = values
		}
	}
	return found
}
