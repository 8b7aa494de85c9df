# The worker and the command line: one static binary in an image without a shell.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
# .git stays out of the build's context, so no commit is stamped in: the version is an argument.
ARG VERSION=container
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /onevault ./cmd/onevault \
    && mkdir -p /archive

# static-debian12 brings CA certificates and time zones, which channels and schedules need.
FROM gcr.io/distroless/static-debian12:nonroot
ARG VERSION=container
LABEL org.opencontainers.image.title="onevault" org.opencontainers.image.version="${VERSION}"
COPY --from=build /onevault /usr/local/bin/onevault
# Where retention keeps what leaves the vault; a new volume takes its owner from here.
COPY --from=build --chown=65532:65532 /archive /var/lib/onevault/archive
ENV ONEVAULT_ARCHIVE_DIR=/var/lib/onevault/archive
VOLUME /var/lib/onevault/archive
USER nonroot:nonroot
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/onevault"]
CMD ["worker", "--api-addr", "0.0.0.0:8080"]
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/onevault", "check", "http://127.0.0.1:8080/readyz"]
