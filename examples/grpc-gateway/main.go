// Gateway puts HTTP and JSON in front of Partway with grpc-gateway, as deploy/envoy does with Envoy.
//
//	go run . -listen 127.0.0.1:8080 -server 127.0.0.1:50051
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	gateway "example.com/gateway/gen/partway/v1"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	pb "github.com/partway/partway/gen/go/partway/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
)

const (
	maxBody  = 2 << 20 // What Partway accepts as a message.
	maxChunk = 1 << 20 // What it accepts as a chunk of a part.
	maxPart  = 5 << 30
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen at")
	server := flag.String("server", "127.0.0.1:50051", "address of Partway")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	conn, err := grpc.NewClient(*server, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	handler, err := newHandler(ctx, conn)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening at http://%s", listener.Addr())
	served := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		served.Shutdown(context.Background())
	}()
	if err := served.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

func newHandler(ctx context.Context, conn *grpc.ClientConn) (http.Handler, error) {
	mux := runtime.NewServeMux(
		// A field that is not known is refused, so that a misspelt one is noticed.
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.JSONPb{
			MarshalOptions: protojson.MarshalOptions{EmitDefaultValues: true}}),
		// Authorization is passed on in any case. No other header is: a caller could set
		// partway-tenant by Grpc-Metadata-Partway-Tenant.
		runtime.WithIncomingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithRoutingErrorHandler(routingError),
	)
	client := pb.NewUploadServiceClient(conn)
	if err := gateway.RegisterUploadServiceHandlerClient(ctx, mux, client); err != nil {
		return nil, err
	}
	// What is generated for PutPart reads messages in JSON. The later handler of a path wins.
	err := mux.HandlePath("PUT", "/v1/uploads/{upload_id}/parts/{part_number}",
		func(w http.ResponseWriter, r *http.Request, path map[string]string) { putPart(mux, client, w, r, path) })
	return limited(mux), err
}

// routingError answers 405 where the default is 501.
func routingError(ctx context.Context, mux *runtime.ServeMux, out runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
	if code != http.StatusMethodNotAllowed {
		runtime.DefaultRoutingErrorHandler(ctx, mux, out, w, r, code)
		return
	}
	err := &runtime.HTTPStatusError{HTTPStatus: code, Err: status.Error(codes.Unimplemented, "method not allowed")}
	runtime.HTTPError(ctx, mux, out, w, r, err)
}

// limited bounds bodies but those of parts, and refuses what a page may send without a preflight.
func limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit := int64(maxBody)
		if r.Method == http.MethodPut {
			limit = maxPart
		} else if r.Method == http.MethodPost && r.Header.Get("content-type") != "application/json" {
			http.Error(w, `{"code": 3, "message": "content-type must be application/json"}`, http.StatusUnsupportedMediaType)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		next.ServeHTTP(w, r)
	})
}

// putPart sends the body of a request as a part through the service.
func putPart(mux *runtime.ServeMux, client pb.UploadServiceClient, w http.ResponseWriter, r *http.Request, path map[string]string) {
	_, out := runtime.MarshalerForRequest(mux, r)
	ctx, err := runtime.AnnotateContext(r.Context(), mux, r, pb.UploadService_UploadPart_FullMethodName)
	if err == nil {
		var answer *pb.UploadPartResponse
		if answer, err = uploadPart(ctx, client, r, path); err == nil {
			runtime.ForwardResponseMessage(ctx, mux, out, w, r, &pb.PutPartResponse{Part: answer.Part})
			return
		}
	}
	runtime.HTTPError(ctx, mux, out, w, r, err)
}

func uploadPart(ctx context.Context, client pb.UploadServiceClient, r *http.Request, path map[string]string) (*pb.UploadPartResponse, error) {
	number, err := strconv.ParseInt(path["part_number"], 10, 32)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "part_number is not a number")
	}
	checksum, err := runtime.Bytes(r.URL.Query().Get("checksum"))
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "checksum is not Base64")
	}
	stream, err := client.UploadPart(ctx)
	if err != nil {
		return nil, err
	}
	header := &pb.UploadPartHeader{UploadId: path["upload_id"], PartNumber: int32(number), Checksum: checksum}
	err = stream.Send(&pb.UploadPartRequest{Payload: &pb.UploadPartRequest_Header{Header: header}})
	// An error of Send is io.EOF: the reason comes with the answer.
	for buffer := make([]byte, maxChunk); err == nil; {
		var n int
		n, err = io.ReadFull(r.Body, buffer)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		if n > 0 {
			chunk := &pb.UploadPartRequest{Payload: &pb.UploadPartRequest_Chunk{Chunk: buffer[:n]}}
			if sent := stream.Send(chunk); sent != nil {
				err = sent
			}
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, status.Error(codes.Aborted, "the body of the request was cut")
	}
	return stream.CloseAndRecv()
}
