# What the processor can do in a container: one static program, nothing else.
#
# Build arguments
#   BASE       of a Debian suite
#   COMPILER   an image with gcc, such as the core of llama.cpp, where one is there; else the base, and gcc is installed
ARG BASE=debian:trixie-slim
ARG COMPILER=${BASE}
FROM ${COMPILER} AS build
RUN command -v gcc || (apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev)
COPY probe.c /probe/probe.c
RUN gcc -O2 -ffp-contract=fast -Wall -Wextra -Werror -static -pthread -o /probe/probe /probe/probe.c

FROM scratch
COPY --from=build /probe/probe /probe
LABEL org.opencontainers.image.title="llama-bench-harness probe"
ENTRYPOINT ["/probe"]
