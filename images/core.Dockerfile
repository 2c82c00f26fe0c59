# The part of llama.cpp that every backend shares: libggml-base, libllama, the tools, and all CPU variants.
# It is compiled once for each base suite; the Dockerfile of a backend starts from this image and adds one library.
#
# Build arguments
#   BASE                 the base image; its suite decides the compiler (Debian 13: GCC 14)
#   LLAMA_BUILD_NUMBER   what llama-bench prints as build_number; the source has no git metadata to take it from
#   LLAMA_BUILD_COMMIT   what llama-bench prints as build_commit
ARG BASE=debian:trixie-slim
FROM ${BASE}

RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates cmake g++ gcc ninja-build \
 && rm -rf /var/lib/apt/lists/*

COPY llama.cpp /src
WORKDIR /src

ARG LLAMA_BUILD_NUMBER
ARG LLAMA_BUILD_COMMIT
# The same options as llama.cpp's own `full` images, less what a container without a network cannot use.
RUN cmake -S . -B build -G Ninja \
      -DCMAKE_BUILD_TYPE=Release \
      -DCMAKE_INSTALL_RPATH='$ORIGIN' \
      -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON \
      -DGGML_BACKEND_DL=ON \
      -DGGML_CPU_ALL_VARIANTS=ON \
      -DGGML_NATIVE=OFF \
      -DLLAMA_BUILD_APP=OFF \
      -DLLAMA_BUILD_COMMIT="${LLAMA_BUILD_COMMIT}" \
      -DLLAMA_BUILD_EXAMPLES=OFF \
      -DLLAMA_BUILD_NUMBER="${LLAMA_BUILD_NUMBER}" \
      -DLLAMA_BUILD_TESTS=OFF \
      -DLLAMA_BUILD_UI=OFF \
      -DLLAMA_OPENSSL=OFF \
      -DLLAMA_USE_PREBUILT_UI=OFF

# Three steps, so that a build which is interrupted goes on at the last step that was finished.
RUN cmake --build build --target ggml
RUN cmake --build build --target llama-bench llama-batched-bench llama-quantize llama-perplexity
RUN cmake --build build --target llama-server

# Where the official `full` images have them.
RUN mkdir /app \
 && cp -P build/bin/*.so* /app/ \
 && cp build/bin/llama-bench build/bin/llama-batched-bench build/bin/llama-quantize \
       build/bin/llama-perplexity build/bin/llama-server LICENSE /app/ \
 && strip --strip-unneeded /app/*.so /app/llama-*
