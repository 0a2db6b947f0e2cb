package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// place is a key in a bucket.
type place struct{ bucket, key string }

// part is what is known of a part.
type part struct {
	size      int64
	etag      string
	checksums map[string]string
	modified  time.Time
}

// upload is a multipart upload that was neither completed nor aborted.
type upload struct {
	at        place
	headers   http.Header
	parts     map[int]part
	initiated time.Time
}

// object is a stored object. Its body is kept if it is small.
type object struct {
	size     int64
	etag     string
	headers  http.Header
	body     []byte
	modified time.Time
	uploadID string
}

// store holds everything, behind one lock.
type store struct {
	lock    sync.Mutex
	uploads map[string]*upload
	objects map[place]*object
	calls   map[string]int
}

func newStore() *store {
	return &store{
		uploads: map[string]*upload{},
		objects: map[place]*object{},
		calls:   map[string]int{},
	}
}

func (s *store) count(operation string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.calls[operation]++
}

func (s *store) counts() map[string]int {
	s.lock.Lock()
	defer s.lock.Unlock()
	return maps.Clone(s.calls)
}

func (s *store) reset() {
	s.lock.Lock()
	defer s.lock.Unlock()
	clear(s.calls)
}

func (s *store) create(at place, headers http.Header) string {
	var random [24]byte
	if _, err := rand.Read(random[:]); err != nil {
		panic(err)
	}
	id := hex.EncodeToString(random[:])
	s.lock.Lock()
	defer s.lock.Unlock()
	s.uploads[id] = &upload{at, headers, map[int]part{}, time.Now()}
	return id
}

// find returns the upload with this id at this place, nil if it has ended. The lock must be held.
func (s *store) find(at place, id string) *upload {
	if found := s.uploads[id]; found != nil && found.at == at {
		return found
	}
	return nil
}

func (s *store) putPart(at place, id string, number int, stored part) bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	found := s.find(at, id)
	if found == nil {
		return false
	}
	found.parts[number] = stored
	return true
}

// fillETag is the ETag of a part that was stored by fill: callers can compute it.
func fillETag(number int) string { return fmt.Sprintf("%032x", number) }

func (s *store) fill(at place, id string, count int, size int64) bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	found := s.find(at, id)
	if found == nil {
		return false
	}
	now := time.Now()
	for number := 1; number <= count; number++ {
		found.parts[number] = part{size, fillETag(number), nil, now}
	}
	return true
}

// listed is a part with its number.
type listed struct {
	part
	number int
}

// listParts returns up to limit parts after a number, whether there are more, and whether the
// upload exists.
func (s *store) listParts(at place, id string, after, limit int) ([]listed, bool, bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	found := s.find(at, id)
	if found == nil {
		return nil, false, false
	}
	page := make([]listed, 0, min(limit, len(found.parts)))
	// Numbers end at 10,000: no page costs more than that.
	for number := after + 1; number <= maxParts; number++ {
		stored, there := found.parts[number]
		if !there {
			continue
		}
		if len(page) == limit {
			return page, true, true
		}
		page = append(page, listed{stored, number})
	}
	return page, false, true
}

// namedPart is a part as CompleteMultipartUpload names it.
type namedPart struct {
	number int
	etag   string
}

// complete joins the named parts. It returns the object, or the code of an error.
func (s *store) complete(at place, id string, named []namedPart, headers http.Header) (*object, string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	there := s.objects[at]
	found := s.find(at, id)
	if found == nil {
		if there != nil && there.uploadID == id {
			return there, "" // As S3 does, once more.
		}
		return nil, "NoSuchUpload"
	}
	if code := contradicts(there, headers); code != "" {
		return nil, code
	}
	size, code := joined(found, named)
	if code != "" {
		return nil, code
	}
	kept := kept(found.headers)
	for name, value := range checksumsIn(headers) {
		kept.Set(name, value)
	}
	etag := fmt.Sprintf("%s-%d", id[:32], len(named))
	made := &object{size: size, etag: etag, headers: kept, modified: time.Now(), uploadID: id}
	s.objects[at] = made
	delete(s.uploads, id)
	return made, ""
}

// joined returns the size of the named parts, or the code of an error.
func joined(found *upload, named []namedPart) (int64, string) {
	if len(named) == 0 {
		return 0, "MalformedXML"
	}
	size, last := int64(0), 0
	for _, each := range named {
		if each.number <= last {
			return 0, "InvalidPartOrder"
		}
		stored, there := found.parts[each.number]
		if !there || stored.etag != strings.Trim(each.etag, `"`) {
			return 0, "InvalidPart"
		}
		size, last = size+stored.size, each.number
	}
	return size, ""
}

func (s *store) abort(at place, id string) bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.find(at, id) == nil {
		return false
	}
	delete(s.uploads, id)
	return true
}

func (s *store) put(at place, made *object, conditions http.Header) string {
	s.lock.Lock()
	defer s.lock.Unlock()
	if code := contradicts(s.objects[at], conditions); code != "" {
		return code
	}
	s.objects[at] = made
	return ""
}

func (s *store) get(at place) *object {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.objects[at]
}

func (s *store) remove(at place, conditions http.Header) string {
	s.lock.Lock()
	defer s.lock.Unlock()
	if code := contradicts(s.objects[at], conditions); code != "" {
		return code
	}
	delete(s.objects, at)
	return ""
}

// contradicts returns the code of an error if the conditions of a request do not hold.
func contradicts(there *object, conditions http.Header) string {
	if conditions.Get("If-None-Match") == "*" && there != nil {
		return "PreconditionFailed"
	}
	wanted := strings.Trim(conditions.Get("If-Match"), `"`)
	if wanted != "" && (there == nil || there.etag != wanted) {
		return "PreconditionFailed"
	}
	return ""
}

// unfinished is a multipart upload with its id.
type unfinished struct {
	*upload
	id string
}

// unfinished returns up to limit uploads after the markers, by key and id, and whether there are more.
func (s *store) unfinished(bucket, prefix, key, id string, limit int) ([]unfinished, bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	var page []unfinished
	for each, found := range s.uploads {
		at := found.at
		past := key == "" || at.key > key || (at.key == key && id != "" && each > id)
		if at.bucket == bucket && strings.HasPrefix(at.key, prefix) && past {
			page = append(page, unfinished{found, each})
		}
	}
	slices.SortFunc(page, func(a, b unfinished) int {
		return strings.Compare(a.at.key+"\x00"+a.id, b.at.key+"\x00"+b.id)
	})
	if len(page) > limit {
		return page[:limit], true
	}
	return page, false
}

// keyed is an object with its key.
type keyed struct {
	*object
	key string
}

// listObjects returns up to limit objects after a key, and whether there are more.
func (s *store) listObjects(bucket, prefix, after string, limit int) ([]keyed, bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	var page []keyed
	for at, found := range s.objects {
		if at.bucket == bucket && strings.HasPrefix(at.key, prefix) && at.key > after {
			page = append(page, keyed{found, at.key})
		}
	}
	slices.SortFunc(page, func(a, b keyed) int { return strings.Compare(a.key, b.key) })
	if len(page) > limit {
		return page[:limit], true
	}
	return page, false
}
