# The images of both programs: a static binary and the certificate authorities.
#
#   docker build -t service-courier .
#   docker build -t service-order --target service-order .
#
# `make image` builds the same without a container engine; the test of deploy/image
# compares both. The cache mounts need BuildKit: after a change only what depends on it is
# compiled again.
FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
COPY cmd cmd
COPY internal internal
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
ARG COMMIT=unknown
ARG DATE=unknown
# timetzdata: the image has no time zone files.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -tags timetzdata \
    -ldflags "-s -w \
      -X service-courier/internal/buildinfo.version=$VERSION \
      -X service-courier/internal/buildinfo.commit=$COMMIT \
      -X service-courier/internal/buildinfo.date=$DATE" \
    -o /out/ ./cmd/... && mkdir /out/data

FROM scratch AS service-order
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/service-order /
# For --state-file on a volume: a new volume takes its owner from here.
COPY --from=build --chown=65532:65532 /out/data /data
ENV HTTP_ADDR=0.0.0.0:8080
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/service-order", "health"]
ENTRYPOINT ["/service-order"]

# Last, so that it is the default target. On this address the program requires
# API_TOKENS.
FROM scratch AS service-courier
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/service-courier /
ENV HTTP_ADDR=0.0.0.0:8082
USER 65532:65532
EXPOSE 8082
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/service-courier", "health"]
ENTRYPOINT ["/service-courier"]
CMD ["serve"]
