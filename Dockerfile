# The service alone: no embedded stack, no compiler, no shell needed.
#
#   docker build -t partway-server .
#   docker run -p 50051:50051 --env-file partway.env partway-server
#
# It listens on every address, so it refuses to start until PARTWAY_IDENTITY says how callers are
# identified (docs/identity.md), or PARTWAY_ALLOW_ANONYMOUS=true that they need not be.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
COPY requirements/server.txt requirements/
RUN python -m venv /opt/partway \
 && /opt/partway/bin/pip install --no-cache-dir --require-hashes -r requirements/server.txt
COPY pyproject.toml README.md LICENSE ./
COPY generated generated
COPY server server
# The build backend runs in an environment of its own and is not part of the image.
RUN /opt/partway/bin/pip install --no-cache-dir --no-deps ./generated . \
 && /opt/partway/bin/pip uninstall --yes pip

FROM ${BASE}
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin partway
COPY --from=build /opt/partway /opt/partway
ENV PATH=/opt/partway/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PARTWAY_ADDRESS=0.0.0.0:50051 \
    PARTWAY_JSON_LOGS=true
USER 10001
EXPOSE 50051
STOPSIGNAL SIGTERM
# By the gRPC health protocol, as any load balancer would ask.
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s CMD ["partway-server", "health", "--liveness"]
ENTRYPOINT ["partway-server"]
CMD ["serve"]
