# llama.cpp on CUDA 12.4, from Debian's own packages of the toolkit (suite trixie, section non-free).
# The driver's library, libcuda.so.1, is not in the image: it comes from the host, given to the container with the device.
# Where it is not given, the backend's library does not load, and llama-bench has no CUDA device.
#
# Build arguments
#   BASE, CORE      as everywhere here
#   ARCHITECTURES   what to compile for, as the driver names it, with blanks between: "sm_89", "sm_86 sm_89". Each adds
#                   about as much compiling as the first. CUDA 12.4 compiles for sm_50 to sm_90a: Blackwell's sm_100 and
#                   sm_120 need CUDA 12.8, so an official image.
#
# needs: 12 GB
ARG BASE=debian:trixie-slim
ARG CORE
FROM ${CORE} AS core
RUN rm -rf /src/build

# The toolkit comes before the sources, and what the core compiled after the backend: so neither another llama.cpp
# fetches 2 GB again, nor does another core compile the backend again.
FROM ${BASE} AS build
# In both formats that apt knows: one line a source, and fields.
RUN sed -i -E '/^(deb|Components:) ?/ s/ main( |$)/ main contrib non-free\1/' \
      $(find /etc/apt/sources.list /etc/apt/sources.list.d -type f) \
 && apt-get update \
 && apt-get install -y --no-install-recommends cmake g++ g++-13 gcc ninja-build nvidia-cuda-toolkit \
 && rm -rf /var/lib/apt/lists/*
COPY --from=core /src /src
WORKDIR /src
ARG ARCHITECTURES="sm_75 sm_80 sm_86 sm_89 sm_90"
# With the core's options, as far as they concern a backend.
# CUDA 12.4 accepts GCC up to 13; what is linked to it is of GCC 14, which has the same ABI.
RUN cmake -S . -B build -G Ninja \
      -DCMAKE_BUILD_TYPE=Release \
      -DCMAKE_CUDA_ARCHITECTURES="$(echo ${ARCHITECTURES} | sed 's/sm_//g; s/ /;/g')" \
      -DCMAKE_CUDA_HOST_COMPILER=/usr/bin/g++-13 \
      -DCMAKE_INSTALL_RPATH='$ORIGIN' \
      -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON \
      -DGGML_BACKEND_DL=ON \
      -DGGML_CUDA=ON \
      -DGGML_NATIVE=OFF \
      -DLLAMA_BUILD_APP=OFF \
      -DLLAMA_BUILD_EXAMPLES=OFF \
      -DLLAMA_BUILD_TESTS=OFF \
      -DLLAMA_BUILD_TOOLS=OFF \
      -DLLAMA_BUILD_UI=OFF \
      -DLLAMA_OPENSSL=OFF \
      -DLLAMA_USE_PREBUILT_UI=OFF
RUN cmake --build build --target ggml-cuda
COPY --from=core /app /app
RUN cp -P build/bin/libggml-cuda.so* /app/ && strip --strip-unneeded /app/libggml-cuda.so

FROM ${BASE}
RUN sed -i -E '/^(deb|Components:) ?/ s/ main( |$)/ main contrib non-free\1/' \
      $(find /etc/apt/sources.list /etc/apt/sources.list.d -type f) \
 && apt-get update \
 && apt-get install -y --no-install-recommends libgomp1 libstdc++6 libcublas12 libcudart12 \
 && rm -rf /var/lib/apt/lists/* \
 && dpkg-query -W -f '${Version}' libcudart12 | grep '~12\.4\.1-'
# As in the images of the vendor and of llama.cpp, where the harness and the container toolkit read it: is the host's
# driver new enough? It is what the step above has just seen to be true.
ENV CUDA_VERSION=12.4.1
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
