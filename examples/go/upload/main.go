// Upload sends a file, part by part and several at once. Stop it and run it again: it resumes.
//
//	go run ./upload -server 127.0.0.1:50051 film.mp4
//
// With -upload-id it sends the file of an Upload that a backend opened. PARTWAY_AUTHORIZATION says
// who calls: "Partway TOKEN" with an upload token, or "Bearer TOKEN".
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"time"

	pb "github.com/partway/partway/gen/go/partway/v1"
	"golang.org/x/sync/errgroup"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	parallel = 8  // Parts in flight.
	window   = 32 // Parts presigned at a time, so that no URL expires unused.
	attempts = 5
)

// Calls are safe to repeat: this is generated/partway/v1/service_config.json.
const serviceConfig = `{"methodConfig": [{"name": [{"service": "partway.v1.UploadService"}], "retryPolicy": {
  "maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "2s", "backoffMultiplier": 2,
  "retryableStatusCodes": ["UNAVAILABLE"]}}], "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1}}`

func main() {
	server := flag.String("server", "127.0.0.1:50051", "address of Partway")
	uploadID := flag.String("upload-id", "", "send the file of this Upload")
	flag.Parse()
	log.SetFlags(0)
	conn, err := grpc.NewClient(*server, grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithTransportCredentials(insecure.NewCredentials())) // Use TLS outside a test.
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	u := uploader{pb.NewUploadServiceClient(conn), &http.Client{Timeout: 10 * time.Minute}}
	ctx := context.Background()
	if authorization := os.Getenv("PARTWAY_AUTHORIZATION"); authorization != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", authorization)
	}
	object, err := u.upload(ctx, flag.Arg(0), *uploadID)
	if err != nil {
		log.Fatalf("%s %v", reason(err), err)
	}
	fmt.Println(object.GetUri())
}

type uploader struct {
	partway pb.UploadServiceClient
	storage *http.Client
}

func (u uploader) upload(ctx context.Context, path, id string) (*pb.StoredObject, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if id == "" {
		if id, err = u.find(ctx, file); err != nil {
			return nil, err
		}
	}
	for range attempts {
		if err := u.sendMissing(ctx, file, id); err != nil {
			return nil, err
		}
		done, err := u.partway.Complete(ctx, &pb.CompleteRequest{UploadId: id})
		switch {
		case err == nil && done.Upload.State == pb.UploadState_UPLOAD_STATE_COMPLETED:
			return done.Upload.Object, nil
		case err == nil: // Storage is still joining the parts.
			time.Sleep(max(done.Upload.RetryDelay.AsDuration(), 100*time.Millisecond))
		case reason(err) == "ERROR_REASON_PARTS_MISSING", reason(err) == "ERROR_REASON_PARTS_MISMATCH":
			log.Print("storage lacks parts; sending them again")
		case retryDelay(err) > 0:
			time.Sleep(retryDelay(err))
		default:
			return nil, err
		}
	}
	return nil, fmt.Errorf("not complete after %d attempts", attempts)
}

// find returns the id of the Upload of this file: one that was begun before, or else a new one.
func (u uploader) find(ctx context.Context, file *os.File) (string, error) {
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("go %x %d", crc32.ChecksumIEEE([]byte(info.Name()+info.ModTime().String())), info.Size())
	begun, err := u.partway.ListUploads(ctx, &pb.ListUploadsRequest{
		Fingerprint: name, State: pb.UploadState_UPLOAD_STATE_ACTIVE})
	if err != nil {
		return "", err
	}
	if len(begun.Uploads) > 0 {
		log.Print("resuming")
		return begun.Uploads[0].Id, nil
	}
	size := info.Size()
	opened, err := u.partway.Initialize(ctx, &pb.InitializeRequest{
		FileName: filepath.Base(file.Name()), SizeBytes: &size, Fingerprint: name,
		ChecksumAlgorithm: pb.ChecksumAlgorithm_CHECKSUM_ALGORITHM_CRC32C})
	return opened.GetUpload().GetId(), err
}

// sendMissing sends what storage does not hold, a window of parts at a time.
func (u uploader) sendMissing(ctx context.Context, file *os.File, id string) error {
	now, err := u.partway.Status(ctx, &pb.StatusRequest{UploadId: id, View: pb.StatusView_STATUS_VIEW_PROGRESS})
	if err != nil {
		return err
	}
	for _, missing := range now.GetProgress().GetMissing() {
		for first := missing.First; first <= missing.Last; first += window {
			numbers := &pb.PartRange{First: first, Last: min(first+window-1, missing.Last)}
			if err := u.sendRange(ctx, file, now.Upload, numbers); err != nil {
				return err
			}
		}
	}
	return nil
}

// sendRange presigns and sends parts in a row, with the checksum of each if the Upload has one.
func (u uploader) sendRange(ctx context.Context, file *os.File, upload *pb.Upload, numbers *pb.PartRange) error {
	request := &pb.BatchPresignPartsRequest{UploadId: upload.Id, Ranges: []*pb.PartRange{numbers}}
	if upload.ChecksumAlgorithm == pb.ChecksumAlgorithm_CHECKSUM_ALGORITHM_CRC32C {
		for n := numbers.First; n <= numbers.Last; n++ {
			hash := crc32.New(crc32.MakeTable(crc32.Castagnoli))
			part := io.NewSectionReader(file, int64(n-1)*upload.PartSizeBytes, upload.PartSizeBytes)
			if _, err := io.Copy(hash, part); err != nil {
				return err
			}
			request.Checksums = append(request.Checksums, &pb.PartChecksum{PartNumber: n, Checksum: hash.Sum(nil)})
		}
	}
	presigned, err := u.partway.BatchPresignParts(ctx, request)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, part := range presigned.Parts {
		group.Go(func() error { return u.send(ctx, file, part) })
	}
	return group.Wait()
}

// send sends one part, and again if that fails. With an expired URL it leaves the part to the next round.
func (u uploader) send(ctx context.Context, file *os.File, part *pb.PresignedPart) error {
	var err error
	for attempt := range attempts {
		if time.Now().After(part.ExpireTime.AsTime()) {
			return nil
		}
		if err = u.put(ctx, file, part); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond << attempt)
	}
	return fmt.Errorf("part %d: %w", part.PartNumber, err)
}

func (u uploader) put(ctx context.Context, file *os.File, part *pb.PresignedPart) error {
	body := io.NewSectionReader(file, part.OffsetBytes, part.SizeBytes)
	request, err := http.NewRequestWithContext(ctx, part.Method, part.Url, http.NoBody)
	if err != nil {
		return errors.New("a URL that does not parse")
	}
	if request.ContentLength = part.SizeBytes; part.SizeBytes > 0 {
		request.Body = io.NopCloser(body)
	}
	for name, value := range part.Headers {
		request.Header.Set(name, value)
	}
	answer, err := u.storage.Do(request)
	if err != nil {
		return errors.Unwrap(err) // Without the URL, which is a secret.
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("storage answers %s", answer.Status)
	}
	return nil
}

// detail returns the detail of one kind that an error of Partway carries, or nil.
func detail[T any](err error) (found T) {
	for _, each := range status.Convert(err).Details() {
		if of, ok := each.(T); ok {
			return of
		}
	}
	return found
}

func reason(err error) string { return detail[*errdetails.ErrorInfo](err).GetReason() }

func retryDelay(err error) time.Duration {
	return detail[*errdetails.RetryInfo](err).GetRetryDelay().AsDuration()
}
