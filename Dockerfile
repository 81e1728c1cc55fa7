# syntax=docker/dockerfile:1
#
# Parley as one static binary: no shell, no package manager, not root.
#
#   docker build -t parley --build-arg VERSION=$(git describe --always) .
#   docker run --rm parley version
#
# /healthz and /readyz answer health probes over HTTP, on the clients' port and the operators'.

FROM --platform=$BUILDPLATFORM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION=dev
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /parley ./cmd/parley

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /parley /parley
USER 65532:65532
EXPOSE 8080 9090
ENTRYPOINT ["/parley"]
CMD ["help"]
