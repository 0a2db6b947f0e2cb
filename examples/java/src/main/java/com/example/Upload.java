package com.example;

import com.google.protobuf.Message;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import com.partway.v1.BatchPresignPartsRequest;
import com.partway.v1.CompleteRequest;
import com.partway.v1.InitializeRequest;
import com.partway.v1.ListUploadsRequest;
import com.partway.v1.PartRange;
import com.partway.v1.PresignedPart;
import com.partway.v1.StatusRequest;
import com.partway.v1.StatusView;
import com.partway.v1.UploadServiceGrpc;
import com.partway.v1.UploadServiceGrpc.UploadServiceBlockingStub;
import com.partway.v1.UploadState;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/**
 * Sends a file, part by part and several at once. Stop it and run it again: it resumes.
 *
 * <p>{@code java -jar target/partway-upload.jar --server 127.0.0.1:50051 film.mp4}
 *
 * <p>With --upload-id it sends the file of an Upload that a backend opened. PARTWAY_AUTHORIZATION
 * says who calls: "Partway TOKEN" with an upload token, or "Bearer TOKEN".
 */
public final class Upload {
  private static final int PARALLEL = 8;
  private static final int WINDOW = 32; // Parts presigned at a time, so that no URL expires unused.
  private static final int ATTEMPTS = 5;

  // Calls are safe to repeat: this is generated/partway/v1/service_config.json.
  private static final Map<String, ?> SERVICE_CONFIG = Map.of(
      "methodConfig", List.of(Map.of(
          "name", List.of(Map.of("service", "partway.v1.UploadService")),
          "retryPolicy", Map.of("maxAttempts", 4.0, "initialBackoff", "0.1s", "maxBackoff", "2s",
              "backoffMultiplier", 2.0, "retryableStatusCodes", List.of("UNAVAILABLE")))),
      "retryThrottling", Map.of("maxTokens", 10.0, "tokenRatio", 0.1));

  private final UploadServiceBlockingStub partway;
  private final HttpClient storage = HttpClient.newHttpClient();
  private final ExecutorService senders = Executors.newFixedThreadPool(PARALLEL);

  private Upload(UploadServiceBlockingStub partway) {
    this.partway = partway;
  }

  public static void main(String[] arguments) throws Exception {
    Map<String, String> options = new HashMap<>(Map.of("--server", "127.0.0.1:50051"));
    for (int i = 0; i + 1 < arguments.length; i += 2) {
      options.put(arguments[i], arguments[i + 1]);
    }
    // Use TLS outside a test.
    var channel = ManagedChannelBuilder.forTarget(options.get("--server")).usePlaintext()
        .defaultServiceConfig(SERVICE_CONFIG).enableRetry().build();
    var headers = new Metadata();
    Optional.ofNullable(System.getenv("PARTWAY_AUTHORIZATION")).ifPresent(value ->
        headers.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), value));
    var upload = new Upload(UploadServiceGrpc.newBlockingStub(channel)
        .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers)));
    try {
      var file = Path.of(arguments[arguments.length - 1]);
      System.out.println(upload.send(file, options.get("--upload-id")));
    } catch (StatusRuntimeException error) {
      System.err.println(reason(error) + " " + error.getStatus());
      System.exit(1);
    } finally {
      upload.senders.shutdownNow();
      channel.shutdownNow();
    }
  }

  private String send(Path path, String given) throws Exception {
    try (var file = FileChannel.open(path)) {
      var id = given != null ? given : find(path);
      for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        sendMissing(file, id);
        try {
          var upload = partway.complete(CompleteRequest.newBuilder().setUploadId(id).build()).getUpload();
          if (upload.getState() == UploadState.UPLOAD_STATE_COMPLETED) {
            return upload.getObject().getUri();
          }
          Thread.sleep(Math.max(100, upload.getRetryDelay().getSeconds() * 1000)); // Storage works on it.
        } catch (StatusRuntimeException error) {
          switch (reason(error)) {
            case "ERROR_REASON_PARTS_MISSING", "ERROR_REASON_PARTS_MISMATCH" -> { }
            default -> TimeUnit.SECONDS.sleep(detail(error, RetryInfo.class).orElseThrow(() -> error)
                .getRetryDelay().getSeconds() + 1);
          }
        }
      }
    }
    throw new IOException("not complete after " + ATTEMPTS + " attempts");
  }

  /** Returns the id of the Upload of this file: one that was begun before, or else a new one. */
  private String find(Path path) throws IOException {
    var fingerprint = "java " + path.toAbsolutePath().hashCode() + " "
        + Files.getLastModifiedTime(path).toMillis() + " " + Files.size(path);
    var begun = partway.listUploads(ListUploadsRequest.newBuilder()
        .setFingerprint(fingerprint).setState(UploadState.UPLOAD_STATE_ACTIVE).build());
    if (begun.getUploadsCount() > 0) {
      System.err.println("resuming");
      return begun.getUploads(0).getId();
    }
    return partway.initialize(InitializeRequest.newBuilder().setFileName(path.getFileName().toString())
        .setSizeBytes(Files.size(path)).setFingerprint(fingerprint).build()).getUpload().getId();
  }

  /** Sends what storage does not hold, a window of parts at a time. */
  private void sendMissing(FileChannel file, String id) throws Exception {
    var status = partway.status(StatusRequest.newBuilder()
        .setUploadId(id).setView(StatusView.STATUS_VIEW_PROGRESS).build());
    for (var missing : status.getProgress().getMissingList()) {
      for (int first = missing.getFirst(); first <= missing.getLast(); first += WINDOW) {
        var range = PartRange.newBuilder().setFirst(first)
            .setLast(Math.min(first + WINDOW - 1, missing.getLast()));
        var presigned = partway.batchPresignParts(
            BatchPresignPartsRequest.newBuilder().setUploadId(id).addRanges(range).build());
        List<Future<?>> sent = new ArrayList<>();
        for (var part : presigned.getPartsList()) {
          sent.add(senders.submit(() -> {
            sendPart(file, part);
            return null;
          }));
        }
        for (var each : sent) {
          each.get();
        }
      }
    }
  }

  /** Sends one part, and again if that fails. One whose URL expired waits for the next round. */
  private void sendPart(FileChannel file, PresignedPart part) throws Exception {
    var body = ByteBuffer.allocate((int) part.getSizeBytes());
    while (body.hasRemaining() && file.read(body, part.getOffsetBytes() + body.position()) >= 0) { }
    var request = HttpRequest.newBuilder(URI.create(part.getUrl()))
        .method(part.getMethod(), BodyPublishers.ofByteArray(body.array()));
    part.getHeadersMap().forEach(request::header);
    IOException problem = null;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (Instant.now().getEpochSecond() > part.getExpireTime().getSeconds()) {
        return;
      }
      try {
        var answer = storage.send(request.build(), BodyHandlers.discarding());
        if (answer.statusCode() == 200) {
          return;
        }
        problem = new IOException("storage answers " + answer.statusCode());
      } catch (IOException error) {
        problem = error;
      }
      Thread.sleep(100L << attempt);
    }
    throw problem;
  }

  /** Returns why a call failed: branch on this, not on messages. */
  private static String reason(StatusRuntimeException error) {
    return detail(error, ErrorInfo.class).map(ErrorInfo::getReason).orElse("");
  }

  private static <T extends Message> Optional<T> detail(StatusRuntimeException error, Class<T> kind) {
    var status = StatusProto.fromThrowable(error);
    try {
      for (var each : status.getDetailsList()) {
        if (each.is(kind)) {
          return Optional.of(each.unpack(kind));
        }
      }
    } catch (com.google.protobuf.InvalidProtocolBufferException broken) {
      throw error;
    }
    return Optional.empty();
  }
}
