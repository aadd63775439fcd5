# Both programs, static, from scratch, as nobody.
#   docker build -t assay-ledger .
#   docker run --rm -v "$PWD:/packs:ro" assay-ledger assay verify-pack /packs/proof_pack
# A ledger has two volumes: /data, and /data.guard with what was signed last. Back up the first alone: what
# restores the log must not restore the guard.
#   docker run --rm -v ledger:/data -v guard:/data.guard assay-ledger ledger init /data --origin NAME …
#   docker run -v ledger:/data -v guard:/data.guard -p 8080:8080 assay-ledger
# The builder is pinned by digest; conformance/image.sh puts one of its own in its place (buildah bud --from).
FROM golang:1.26.5@sha256:3aff6657219a4d9c14e27fb1d8976c49c29fddb70ba835014f477e1c70636647 AS build
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
COPY LICENSE THIRD_PARTY_LICENSES.txt /usr/share/doc/assay-ledger/
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/data.guard /data.guard
ENV PATH=/bin HOME=/data
USER 65532:65532
WORKDIR /data
VOLUME /data /data.guard
EXPOSE 8080
# Behind a proxy that speaks TLS; the ledger itself speaks plain HTTP.
# Ready means that a submission made now would get its proof. A ledger waits for its witnesses when it starts.
HEALTHCHECK --interval=30s --timeout=10s --start-period=2m --retries=3 CMD ["ledger", "health", "http://127.0.0.1:8080"]
CMD ["ledger", "serve", "/data", "--listen", ":8080"]
