# llama.cpp on Vulkan: Mesa's drivers for AMD and Intel, and its software device (llvmpipe), are in the image.
# NVIDIA's driver comes from the host with the graphics capability and needs the GL vendor libraries below.
ARG BASE=debian:trixie-slim
ARG CORE
FROM ${CORE} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends glslc libvulkan-dev spirv-headers \
 && rm -rf /var/lib/apt/lists/*
RUN cmake -B build -DGGML_VULKAN=ON
RUN cmake --build build --target ggml-vulkan
RUN cp -P build/bin/libggml-vulkan.so* /app/ && strip --strip-unneeded /app/libggml-vulkan.so

FROM ${BASE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgomp1 libstdc++6 \
      libvulkan1 mesa-vulkan-drivers \
      libegl1 libgl1 libgles2 libglvnd0 libglx0 \
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
