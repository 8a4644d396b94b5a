# One image for both roles. It has no shell and does not run as root.
#
#   docker build --build-arg VERSION=v1.2.3 -t intramuros .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges \
#     -v /etc/intramuros:/etc/intramuros:ro -v intramuros:/var/lib/intramuros \
#     -p 8815:8815 -p 7946:7946 -p 7946:7946/udp intramuros node --config /etc/intramuros/node.yaml
#
# A node that dials out (`outward` in node.yaml) needs no -p.
#
# Keys under /etc/intramuros must belong to user 65532 with mode 600. docs/install-node.md explains the rest;
# packaging/compose.yaml runs a coordinator.

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# DuckDB and SQLite are written in C++ and C. The last stage contains the libraries that they need and nothing else.
# The build's context has no .git, so VERSION names the release. `intramuros version` and the operators' page show it.
ARG VERSION=(devel)
RUN CGO_ENABLED=1 go build -trimpath -buildvcs=false -ldflags="-s -w -X 'github.com/intramuros/intramuros/internal/telemetry.release=$VERSION'" -o /intramuros ./cmd/intramuros
# This folder holds the ledger. A volume mounted here gets its owner.
RUN mkdir -p /state && chmod 700 /state

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /intramuros /usr/bin/intramuros
COPY --from=build --chown=65532:65532 /state /var/lib/intramuros
USER 65532:65532
VOLUME /var/lib/intramuros
EXPOSE 8815/tcp 8443/tcp 8444/tcp 7946/tcp 7946/udp
ENTRYPOINT ["/usr/bin/intramuros"]
