# SPDX-License-Identifier: Apache-2.0
# The image of mote: the program alone, linked statically, with nothing else that could be run. docs/deploy/README.md is
# how it is built, tried and used. It is written so that every builder can build it: no front end is fetched, and what it
# needs beside Debian's packages (third_party/libraries.csv) is in this folder.
#   BASE      what it is built on: Debian 12 or 13, by its digest where it must not change unseen
#   REVISION  the commit, for `mote version` and a label;  CREATED  a time (RFC 3339), for a label
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
WORKDIR /mote
COPY third_party/install third_party/libraries.csv third_party/tools.csv third_party/
RUN third_party/install build
COPY third_party third_party
COPY CMakeLists.txt CMakePresets.json LICENSE ./
COPY package package
COPY proto proto
COPY src src
ARG REVISION=
# Ownership and modes are made here: COPY keeps modes, and what COPY --chown owns is then a volume's, too.
RUN cmake --preset static -DMOTE_REVISION="${REVISION}" \
    && cmake --build --preset static --target mote \
    && install -D -m 0555 build/static/mote /image/mote \
    && package/licences /image/usr/share \
    && install -d -m 0755 /image/var/lib && install -d -m 0700 /store/mote
ARG CREATED=
RUN package/sbom /image/usr/share/doc/mote/sbom.spdx.json "${CREATED}"

FROM scratch
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title="mote" \
      org.opencontainers.image.description="A gRPC server for accounts and logins that fits small machines" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="scratch"
COPY --from=build /image/ /
COPY --from=build --chown=65532:65532 /store/ /var/lib/
# Inside a container the network is the container's own; what reaches it is for `docker run -p` to say. With TLS_CERT_FILE
# the same address speaks TLS.
ENV LISTEN=[::]:50051 \
    INSECURE=true \
    STORE_URL=sqlite:/var/lib/mote/mote.db
# By number, so that Kubernetes can see that it is not root.
USER 65532:65532
VOLUME /var/lib/mote
EXPOSE 50051 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=3s --start-period=5s --retries=3 CMD ["/mote", "healthcheck"]
ENTRYPOINT ["/mote"]
CMD ["serve"]
