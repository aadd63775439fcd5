# Both programs, static, from scratch, as nobody.
#   docker build -t assay-ledger .
#   docker run --rm -v "$PWD:/packs:ro" assay-ledger assay verify-pack /packs/proof_pack
# A ledger has two volumes: /data, and /data.guard with what was signed last. Back up the first alone: what
# restores the log must not restore the guard.
#   docker run --rm -v ledger:/data -v guard:/data.guard assay-ledger ledger init /data --origin NAME …
#   docker run -v ledger:/data -v guard:/data.guard -p 8080:8080 assay-ledger
ARG BUILDER=golang:1.26
FROM ${BUILDER} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/ ./cmd/assay ./cmd/ledger \
	&& mkdir -p /out/data /out/data.guard && chmod 0700 /out/data /out/data.guard

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/assay /out/ledger /bin/
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/data.guard /data.guard
ENV PATH=/bin HOME=/data
USER 65532:65532
WORKDIR /data
VOLUME /data /data.guard
EXPOSE 8080
# Behind a proxy that speaks TLS; the ledger itself speaks plain HTTP.
CMD ["ledger", "serve", "/data", "--listen", ":8080"]
