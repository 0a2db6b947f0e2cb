// Backend is a whole backend: users log in, upload straight to storage, and each upload is
// processed once.
//
//	WEBHOOK_SECRET=whsec_... PARTWAY_SERVER=127.0.0.1:50051 go run ./backend 8000
//
// The service calls POST /webhooks/partway when an object is in storage. That turns the record to
// `uploaded` and queues a task, in one transaction; a worker turns it to `processed`. The service
// believes this backend who its user is: run it with PARTWAY_IDENTITY=metadata.
package main

import (
	"cmp"
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
	_ "github.com/mattn/go-sqlite3"
	pb "github.com/partway/partway/gen/go/partway/v1"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	tenant = "shop"
	schema = `
CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, salt BLOB, password BLOB);
CREATE TABLE IF NOT EXISTS logins (token BLOB PRIMARY KEY, user TEXT);
CREATE TABLE IF NOT EXISTS uploads
  (id TEXT PRIMARY KEY, user TEXT, file_name TEXT, object_key TEXT UNIQUE, state TEXT);
CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS tasks (upload TEXT PRIMARY KEY);`
)

var states = map[string]string{
	"upload.completed": "uploaded",
	"upload.aborted":   "failed",
	"upload.expired":   "failed",
	"upload.failed":    "failed",
}

type backend struct {
	db      *sql.DB
	partway pb.UploadServiceClient
	webhook *webhooks.Webhook
	queued  chan struct{}
}

// refusal is an error for the caller.
type refusal struct {
	status int
	detail string
}

func (r refusal) Error() string { return r.detail }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	db, err := sql.Open("sqlite3", cmp.Or(os.Getenv("DATABASE"), "backend.db")+"?_txlock=immediate&_busy_timeout=10000")
	check(err)
	defer db.Close()
	_, err = db.Exec(schema)
	check(err)
	// Use TLS outside a test.
	conn, err := grpc.NewClient(os.Getenv("PARTWAY_SERVER"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	defer conn.Close()
	hook, err := webhooks.NewWebhook(os.Getenv("WEBHOOK_SECRET"))
	check(err)
	b := backend{db, pb.NewUploadServiceClient(conn), hook, make(chan struct{}, 1)}
	go b.work(ctx)
	mux := http.NewServeMux()
	mux.Handle("POST /users", answer(b.register))
	mux.Handle("POST /login", answer(b.login))
	mux.Handle("POST /uploads", answer(b.begin))
	mux.Handle("GET /uploads/{id}", answer(b.show))
	mux.Handle("POST /webhooks/partway", answer(b.receive))
	server := &http.Server{Addr: "127.0.0.1:" + os.Args[1], Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		server.Shutdown(context.Background())
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// answer turns what a handler returns into JSON.
func answer(handle func(*http.Request) (int, any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		code, body, err := handle(r)
		var refused refusal
		switch {
		case errors.As(err, &refused):
			code, body = refused.status, map[string]string{"detail": refused.detail}
		case err != nil:
			log.Print(err)
			code, body = http.StatusInternalServerError, map[string]string{"detail": "a fault"}
		}
		w.Header().Set("content-type", "application/json")
		w.WriteHeader(code)
		if body != nil {
			json.NewEncoder(w).Encode(body)
		}
	})
}

type credentials struct{ Name, Password string }

func (b backend) register(r *http.Request) (int, any, error) {
	wanted, err := decode[credentials](r)
	if err != nil {
		return 0, nil, err
	}
	salt := []byte(rand.Text())
	password, err := hashed(wanted.Password, salt)
	if err != nil {
		return 0, nil, err
	}
	done, err := b.db.Exec("INSERT OR IGNORE INTO users VALUES (?, ?, ?)", wanted.Name, salt, password)
	if err != nil {
		return 0, nil, err
	}
	if rows, _ := done.RowsAffected(); rows == 0 {
		return 0, nil, refusal{http.StatusConflict, "the name is taken"}
	}
	return http.StatusCreated, nil, nil
}

func (b backend) login(r *http.Request) (int, any, error) {
	given, err := decode[credentials](r)
	if err != nil {
		return 0, nil, err
	}
	var salt, password []byte
	err = b.db.QueryRow("SELECT salt, password FROM users WHERE name = ?", given.Name).Scan(&salt, &password)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, nil, err
	}
	tried, err := hashed(given.Password, salt)
	if err != nil {
		return 0, nil, err
	}
	if len(password) == 0 || subtle.ConstantTimeCompare(tried, password) == 0 {
		return 0, nil, refusal{http.StatusUnauthorized, "wrong name or password"}
	}
	token := rand.Text()
	_, err = b.db.Exec("INSERT INTO logins VALUES (?, ?)", digest(token), given.Name)
	return http.StatusOK, map[string]string{"token": token}, err
}

func (b backend) user(r *http.Request) (name string, err error) {
	token := strings.TrimPrefix(r.Header.Get("authorization"), "Bearer ")
	err = b.db.QueryRow("SELECT user FROM logins WHERE token = ?", digest(token)).Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		return "", refusal{http.StatusUnauthorized, "log in first"}
	}
	return name, err
}

// begin opens an Upload for the user; the page sends the file with its id and token alone.
func (b backend) begin(r *http.Request) (int, any, error) {
	user, err := b.user(r)
	if err != nil {
		return 0, nil, err
	}
	wanted, err := decode[struct {
		FileName  string `json:"file_name"`
		SizeBytes int64  `json:"size_bytes"`
	}](r)
	if err != nil {
		return 0, nil, err
	}
	id := uuid.NewString()
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	opened, err := b.partway.Initialize(
		metadata.AppendToOutgoingContext(ctx, "partway-tenant", tenant, "partway-subject", user),
		&pb.InitializeRequest{
			FileName: wanted.FileName, SizeBytes: &wanted.SizeBytes, RequestId: id,
			UploadToken: &pb.UploadTokenSpec{Lifetime: durationpb.New(time.Hour)}})
	if status.Code(err) == codes.InvalidArgument {
		return 0, nil, refusal{http.StatusUnprocessableEntity, status.Convert(err).Message()}
	} else if err != nil {
		return 0, nil, refusal{http.StatusServiceUnavailable, status.Convert(err).Message()}
	}
	_, err = b.db.Exec("INSERT INTO uploads VALUES (?, ?, ?, ?, 'pending')",
		id, user, wanted.FileName, opened.Upload.Object.Key)
	return http.StatusCreated, map[string]string{
		"id": id, "upload_id": opened.Upload.Id, "token": opened.UploadToken.Token}, err
}

func (b backend) show(r *http.Request) (int, any, error) {
	user, err := b.user(r)
	if err != nil {
		return 0, nil, err
	}
	found := struct {
		ID       string `json:"id"`
		FileName string `json:"file_name"`
		State    string `json:"state"`
	}{}
	err = b.db.QueryRow("SELECT id, file_name, state FROM uploads WHERE id = ? AND user = ?", r.PathValue("id"), user).
		Scan(&found.ID, &found.FileName, &found.State)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil, refusal{http.StatusNotFound, "no such upload"}
	}
	return http.StatusOK, found, err
}

// receive records an event once, however often it comes.
func (b backend) receive(r *http.Request) (int, any, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, nil, refusal{http.StatusBadRequest, "the body was cut"}
	}
	if err := b.webhook.Verify(body, r.Header); err != nil {
		return 0, nil, refusal{http.StatusUnauthorized, "the signature does not match"}
	}
	var event struct {
		ID, Type string
		Data     struct{ Key string }
	}
	if err := json.Unmarshal(body, &event); err != nil {
		return 0, nil, refusal{http.StatusBadRequest, "not an event"}
	}
	if state := states[event.Type]; state != "" {
		err = b.record(event.ID, event.Data.Key, state)
	}
	return http.StatusNoContent, nil, err
}

func (b backend) record(event, key, state string) error {
	tx, err := b.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback() // Does nothing after a commit.
	done, err := tx.Exec("INSERT OR IGNORE INTO events VALUES (?)", event)
	if err != nil {
		return err
	}
	if rows, _ := done.RowsAffected(); rows == 0 {
		return nil
	}
	if _, err := tx.Exec("UPDATE uploads SET state = ? WHERE object_key = ? AND state = 'pending'", state, key); err != nil {
		return err
	}
	if state == "uploaded" {
		if _, err := tx.Exec("INSERT OR IGNORE INTO tasks SELECT id FROM uploads WHERE object_key = ?", key); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	select {
	case b.queued <- struct{}{}:
	default: // The worker has been woken already.
	}
	return nil
}

// work processes what is queued. A task that was cut short is done again.
func (b backend) work(ctx context.Context) {
	for ctx.Err() == nil {
		var upload string
		err := b.db.QueryRow("SELECT upload FROM tasks LIMIT 1").Scan(&upload)
		if err == nil {
			err = b.process(upload)
		}
		switch {
		case errors.Is(err, sql.ErrNoRows):
			select {
			case <-b.queued:
			case <-ctx.Done():
			}
		case err != nil:
			log.Print(err)
			time.Sleep(time.Second)
		}
	}
}

func (b backend) process(upload string) error {
	tx, err := b.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	// Here a real backend makes a thumbnail, scans, transcodes.
	if _, err := tx.Exec("UPDATE uploads SET state = 'processed' WHERE id = ?", upload); err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM tasks WHERE upload = ?", upload); err != nil {
		return err
	}
	return tx.Commit()
}

func decode[T any](r *http.Request) (body T, err error) {
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		return body, refusal{http.StatusUnprocessableEntity, "not what was asked for"}
	}
	return body, nil
}

func hashed(password string, salt []byte) ([]byte, error) {
	return pbkdf2.Key(sha256.New, password, salt, 600_000, 32)
}

func digest(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
