# llama.cpp on ROCm, from Debian's own packages (suite forky: HIP and rocBLAS 6.4, hipcc 7.0 upon Clang 21; the older
# suites' HIP is too old).
# The kernel's driver comes from the host: a container needs /dev/kfd and the card's render node, nothing else.
#
# The core is of an older suite than the rest. It is taken as it was compiled there, since what runs with an older C and
# C++ library runs with a newer one: so the tools and the CPU's part are the same file in the images of all backends.
#
# Build arguments
#   BASE, CORE      as everywhere here
#   ARCHITECTURES   what to compile for, as the driver names it, with blanks between: "gfx1100", "gfx1030 gfx1100".
#                   Each adds about as much compiling as the first. Debian's rocBLAS has kernels for gfx803, gfx900,
#                   gfx906, gfx908, gfx90a, gfx1010, gfx1030 and gfx1100 to gfx1102: others, among them gfx1151 (Strix
#                   Halo) and gfx1201, need an official image.
#
# needs: 12 GB
ARG BASE=debian:forky-slim
ARG CORE
FROM ${CORE} AS core
RUN rm -rf /src/build

FROM ${BASE} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake hipcc libhipblas-dev librocblas-dev ninja-build \
 && rm -rf /var/lib/apt/lists/*
COPY --from=core /src /src
WORKDIR /src
ARG ARCHITECTURES="gfx1030 gfx1100 gfx1101 gfx1102"
# With the core's options, as far as they concern a backend; hipcc's own clang compiles all of it.
RUN CLANG="$(hipconfig --hipclangpath)" \
 && cmake -S . -B build -G Ninja \
      -DCMAKE_BUILD_TYPE=Release \
      -DCMAKE_C_COMPILER="${CLANG}/clang" \
      -DCMAKE_CXX_COMPILER="${CLANG}/clang++" \
      -DCMAKE_HIP_COMPILER="${CLANG}/clang++" \
      -DCMAKE_HIP_ARCHITECTURES="$(echo ${ARCHITECTURES} | sed 's/ /;/g')" \
      -DCMAKE_INSTALL_RPATH='$ORIGIN' \
      -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON \
      -DGGML_BACKEND_DL=ON \
      -DGGML_HIP=ON \
      -DGGML_NATIVE=OFF \
      -DLLAMA_BUILD_APP=OFF \
      -DLLAMA_BUILD_EXAMPLES=OFF \
      -DLLAMA_BUILD_TESTS=OFF \
      -DLLAMA_BUILD_TOOLS=OFF \
      -DLLAMA_BUILD_UI=OFF \
      -DLLAMA_OPENSSL=OFF \
      -DLLAMA_USE_PREBUILT_UI=OFF
RUN cmake --build build --target ggml-hip
COPY --from=core /app /app
RUN cp -P build/bin/libggml-hip.so* /app/ && strip --strip-unneeded /app/libggml-hip.so

FROM ${BASE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgomp1 libstdc++6 libamdhip64-6 libhipblas2 librocblas4 \
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
