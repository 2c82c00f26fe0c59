# llama.cpp on the CPU. All CPU variants are in the core; the best one is chosen when the program starts.
ARG BASE=debian:trixie-slim
ARG CORE
FROM ${CORE} AS core

FROM ${BASE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgomp1 libstdc++6 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=core /app /app
WORKDIR /app
ARG LLAMA_BUILD_NUMBER
ARG LLAMA_BUILD_COMMIT
LABEL org.opencontainers.image.title="llama.cpp" \
      org.opencontainers.image.source="https://github.com/ggml-org/llama.cpp" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="b${LLAMA_BUILD_NUMBER}" \
      org.opencontainers.image.revision="${LLAMA_BUILD_COMMIT}"
ENTRYPOINT ["/app/llama-bench"]
