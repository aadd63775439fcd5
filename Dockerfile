# Both programs, static, from scratch, as nobody.
#   docker build -t assay-ledger .
#   docker run --rm -v "$PWD:/packs:ro" assay-ledger assay verify-pack /packs/proof_pack
ARG BUILDER=golang:1.26
FROM ${BUILDER} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/ ./cmd/assay ./cmd/ledger \
	&& mkdir -p /out/data && chmod 0700 /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/assay /out/ledger /bin/
COPY --from=build --chown=65532:65532 /out/data /data
ENV PATH=/bin HOME=/data
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8080
# Behind a proxy that speaks TLS; the ledger itself speaks plain HTTP.
CMD ["ledger", "serve", "/data", "--listen", ":8080"]
