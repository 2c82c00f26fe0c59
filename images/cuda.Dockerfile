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
FROM ${CORE} AS build
# In both formats that apt knows: one line a source, and fields.
RUN sed -i -E '/^(deb|Components:) ?/ s/ main( |$)/ main contrib non-free\1/' \
      $(find /etc/apt/sources.list /etc/apt/sources.list.d -type f) \
 && apt-get update \
 && apt-get install -y --no-install-recommends g++-13 nvidia-cuda-toolkit \
 && rm -rf /var/lib/apt/lists/*
ARG ARCHITECTURES="sm_75 sm_80 sm_86 sm_89 sm_90"
# CUDA 12.4 accepts GCC up to 13; what is linked to it is of GCC 14, which has the same ABI.
RUN cmake -B build -DGGML_CUDA=ON \
      -DCMAKE_CUDA_ARCHITECTURES="$(echo ${ARCHITECTURES} | sed 's/sm_//g; s/ /;/g')" \
      -DCMAKE_CUDA_HOST_COMPILER=/usr/bin/g++-13
RUN cmake --build build --target ggml-cuda
RUN cp -P build/bin/libggml-cuda.so* /app/ && strip --strip-unneeded /app/libggml-cuda.so

FROM ${BASE}
RUN sed -i -E '/^(deb|Components:) ?/ s/ main( |$)/ main contrib non-free\1/' \
      $(find /etc/apt/sources.list /etc/apt/sources.list.d -type f) \
 && apt-get update \
 && apt-get install -y --no-install-recommends libgomp1 libstdc++6 libcublas12 libcudart12 \
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
