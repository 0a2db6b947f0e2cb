package main

import (
	"strconv"
	"strings"
)

func (c *call) listParts() {
	after, limit := c.number("part-number-marker", 0), min(c.number("max-parts", pageSize), pageSize)
	page, more, there := c.store.listParts(c.place, c.query.Get("uploadId"), after, limit)
	if !there {
		c.fail("NoSuchUpload")
		return
	}
	next := after
	if len(page) > 0 {
		next = page[len(page)-1].number
	}
	var inner strings.Builder
	inner.Grow(300 * (len(page) + 1))
	inner.WriteString(c.named() + element("UploadId", c.query.Get("uploadId")))
	inner.WriteString(element("PartNumberMarker", strconv.Itoa(after)))
	inner.WriteString(element("NextPartNumberMarker", strconv.Itoa(next)))
	inner.WriteString(element("MaxParts", strconv.Itoa(limit)))
	inner.WriteString(element("IsTruncated", strconv.FormatBool(more)))
	for _, each := range page {
		writePart(&inner, each)
	}
	c.answer("ListPartsResult", inner.String())
}

func writePart(inner *strings.Builder, each listed) {
	inner.WriteString("<Part>")
	inner.WriteString(element("PartNumber", strconv.Itoa(each.number)))
	inner.WriteString(element("LastModified", each.modified.UTC().Format(isoTime)))
	inner.WriteString(element("ETag", quoted(each.etag)))
	inner.WriteString(element("Size", strconv.FormatInt(each.size, 10)))
	for name, value := range each.checksums {
		inner.WriteString(element(checksumElements[name], value))
	}
	inner.WriteString("</Part>")
}

func (c *call) listUploads() {
	prefix, limit := c.query.Get("prefix"), min(c.number("max-uploads", pageSize), pageSize)
	key, id := c.query.Get("key-marker"), c.query.Get("upload-id-marker")
	page, more := c.store.unfinished(c.place.bucket, prefix, key, id, limit)
	var inner strings.Builder
	inner.WriteString(element("Bucket", c.place.bucket) + element("Prefix", prefix))
	inner.WriteString(element("KeyMarker", key) + element("UploadIdMarker", id))
	inner.WriteString(element("MaxUploads", strconv.Itoa(limit)))
	inner.WriteString(element("IsTruncated", strconv.FormatBool(more)))
	if more {
		last := page[len(page)-1]
		inner.WriteString(element("NextKeyMarker", last.at.key) + element("NextUploadIdMarker", last.id))
	}
	for _, each := range page {
		initiated := each.initiated.UTC().Format(isoTime)
		inner.WriteString("<Upload>" + element("Key", each.at.key) + element("UploadId", each.id))
		inner.WriteString(element("Initiated", initiated) + "</Upload>")
	}
	c.answer("ListMultipartUploadsResult", inner.String())
}

func (c *call) listObjects() {
	prefix, limit := c.query.Get("prefix"), min(c.number("max-keys", pageSize), pageSize)
	after := max(c.query.Get("start-after"), c.query.Get("continuation-token"))
	page, more := c.store.listObjects(c.place.bucket, prefix, after, limit)
	var inner strings.Builder
	inner.WriteString(element("Name", c.place.bucket) + element("Prefix", prefix))
	inner.WriteString(element("MaxKeys", strconv.Itoa(limit)) + element("KeyCount", strconv.Itoa(len(page))))
	inner.WriteString(element("IsTruncated", strconv.FormatBool(more)))
	if more {
		inner.WriteString(element("NextContinuationToken", page[len(page)-1].key))
	}
	for _, each := range page {
		inner.WriteString("<Contents>" + element("Key", each.key))
		inner.WriteString(element("LastModified", each.modified.UTC().Format(isoTime)))
		inner.WriteString(element("ETag", quoted(each.etag)))
		inner.WriteString(element("Size", strconv.FormatInt(each.size, 10)) + "</Contents>")
	}
	c.answer("ListBucketResult", inner.String())
}
