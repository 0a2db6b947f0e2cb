// Companion with nothing but its endpoints for S3.
import * as companion from '@uppy/companion'
import express from 'express'

const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION, PORT, S3_ENDPOINT, STATE } =
  process.env

const { app } = companion.app({
  server: { host: `127.0.0.1:${PORT}`, protocol: 'http' },
  secret: 'for-a-benchmark',
  filePath: STATE,
  uploadUrls: [S3_ENDPOINT],
  corsOrigins: ['*'],
  s3: {
    key: AWS_ACCESS_KEY_ID,
    secret: AWS_SECRET_ACCESS_KEY,
    bucket: 'partway',
    region: AWS_DEFAULT_REGION,
    endpoint: S3_ENDPOINT,
    expires: 3600,
    awsClientOptions: { forcePathStyle: true },
  },
})

const server = express()
server.use(express.json({ limit: '10mb' }))
server.use(app)
// Idle connections stay open longer than a peer waits for its turn.
server.listen(Number(PORT), '127.0.0.1').keepAliveTimeout = 600_000
