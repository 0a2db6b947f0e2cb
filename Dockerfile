# The service alone: no embedded stack, no compiler, no pip, no root.
#
#   make image        or: docker build -t partway-server .
#   docker run -p 50051:50051 --env-file partway.env --read-only partway-server
#
# It listens on every address, so it refuses to start until PARTWAY_IDENTITY says how callers are
# identified (docs/identity.md), or PARTWAY_ALLOW_ANONYMOUS=true that they need not be.
#
# BASE needs Python 3.11 or newer as `python3`, with venv, and CA certificates. deploy/README.md
# says how to build for several architectures, and what `make test-image` uses instead.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
COPY requirements/server.txt requirements/
RUN python3 -m venv /opt/partway \
 && /opt/partway/bin/pip install --no-cache-dir --require-hashes -r requirements/server.txt
COPY pyproject.toml README.md LICENSE ./
COPY generated generated
COPY server server
# The build backend runs in an environment of its own and is not part of the image. What installed
# the packages goes when they are installed; venv of Python 3.11 has brought setuptools, too.
RUN /opt/partway/bin/pip install --no-cache-dir --no-deps ./generated . \
 && /opt/partway/bin/pip uninstall --yes setuptools pip

FROM ${BASE}
# The base has its own pip, and the wheels that venv would install.
RUN find /usr/lib /usr/local/lib /usr/share -depth -path '*python*' \
      \( -name pip -o -name 'pip-*' -o -name setuptools -o -name 'setuptools-*' -o -name pkg_resources \
      -o -name ensurepip -o -name python-wheels \) -exec rm -rf {} + \
 && rm -f /usr/local/bin/pip* \
 && echo "partway:x:10001:10001::/nonexistent:/usr/sbin/nologin" >> /etc/passwd \
 && echo "partway:x:10001:" >> /etc/group
COPY --from=build /opt/partway /opt/partway
# PYTHONDONTWRITEBYTECODE: the root may be read-only.
ENV PATH=/opt/partway/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PARTWAY_ADDRESS=0.0.0.0:50051 \
    PARTWAY_METRICS_ADDRESS=0.0.0.0:9464 \
    PARTWAY_JSON_LOGS=true
# By number, which Kubernetes needs to see that it is not root.
USER 10001:10001
EXPOSE 50051 9464
STOPSIGNAL SIGTERM
# By the gRPC health protocol, as any load balancer would ask.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["partway-server", "health", "--liveness"]
ENTRYPOINT ["partway-server"]
CMD ["serve"]

# Last, so that another commit does not build all again.
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="Partway" \
      org.opencontainers.image.description="Coordinates uploads of any size straight into S3-compatible storage." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
