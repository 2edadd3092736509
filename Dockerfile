# The images of both programs: a static binary, the certificate authorities, and
# nothing else.
#
#   docker build -t service-courier .
#   docker build -t service-order --target service-order .
#
# `make image` makes the same without a container engine (deploy/image, whose test
# holds this file to it).
FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY cmd cmd
COPY internal internal
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
ARG COMMIT=unknown
ARG DATE=unknown
# timetzdata: the image has no time zones of its own.
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -tags timetzdata \
    -ldflags "-s -w \
      -X service-courier/internal/buildinfo.version=$VERSION \
      -X service-courier/internal/buildinfo.commit=$COMMIT \
      -X service-courier/internal/buildinfo.date=$DATE" \
    -o /out/ ./cmd/...

FROM scratch AS service-order
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/service-order /
ENV HTTP_ADDR=0.0.0.0:8080
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/service-order", "health"]
ENTRYPOINT ["/service-order"]

# Last, so that it is what is built when no target is named. The program refuses
# an address that others can reach unless it is given API_TOKENS.
FROM scratch AS service-courier
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/service-courier /
ENV HTTP_ADDR=0.0.0.0:8082
USER 65532:65532
EXPOSE 8082
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/service-courier", "health"]
ENTRYPOINT ["/service-courier"]
CMD ["serve"]
