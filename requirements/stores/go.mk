# The S3 servers of Go that the suites run over. Go compares what it fetches with its checksum database.
minio_MODULE := github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
versitygw_MODULE := github.com/versity/versitygw/cmd/versitygw@v1.8.0
