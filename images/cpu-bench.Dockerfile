# llama-bench alone, for comparing many builds of llama.cpp on the CPU: minutes for each, from August 2025 on.
#
# It stands on no core. What it leaves out against `cpu`: the server and the other tools, and all CPU variants but one,
# that of GGML_NATIVE=OFF (on x86: AVX2, FMA, F16C, BMI2). So its figures are no other image's: compare its builds with
# each other. Options that a source does not know yet, or no longer, are passed over by CMake with a warning.
ARG BASE=debian:trixie-slim
FROM ${BASE} AS build

RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates cmake g++ gcc ninja-build \
 && rm -rf /var/lib/apt/lists/*

COPY llama.cpp /src
WORKDIR /src

ARG LLAMA_BUILD_NUMBER
ARG LLAMA_BUILD_COMMIT
RUN cmake -S . -B build -G Ninja \
      -DCMAKE_BUILD_TYPE=Release \
      -DCMAKE_INSTALL_RPATH='$ORIGIN' \
      -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON \
      -DGGML_BACKEND_DL=ON \
      -DGGML_NATIVE=OFF \
      -DLLAMA_BUILD_APP=OFF \
      -DLLAMA_BUILD_COMMIT="${LLAMA_BUILD_COMMIT}" \
      -DLLAMA_BUILD_EXAMPLES=OFF \
      -DLLAMA_BUILD_NUMBER="${LLAMA_BUILD_NUMBER}" \
      -DLLAMA_BUILD_SERVER=OFF \
      -DLLAMA_BUILD_TESTS=OFF \
      -DLLAMA_BUILD_UI=OFF \
      -DLLAMA_CURL=OFF \
      -DLLAMA_OPENSSL=OFF \
      -DLLAMA_USE_PREBUILT_UI=OFF

RUN cmake --build build --target ggml
RUN cmake --build build --target llama-bench

RUN mkdir /app \
 && cp -P build/bin/*.so* /app/ \
 && cp build/bin/llama-bench LICENSE /app/ \
 && strip --strip-unneeded /app/*.so /app/llama-bench

FROM ${BASE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgomp1 libstdc++6 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /app /app
WORKDIR /app
ARG LLAMA_BUILD_NUMBER
ARG LLAMA_BUILD_COMMIT
LABEL org.opencontainers.image.title="llama.cpp" \
      org.opencontainers.image.source="https://github.com/ggml-org/llama.cpp" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="b${LLAMA_BUILD_NUMBER}" \
      org.opencontainers.image.revision="${LLAMA_BUILD_COMMIT}"
ENTRYPOINT ["/app/llama-bench"]
