/* libcuda.so.1 as it answers on a machine with NVIDIA's driver and without a card, for tests of the CUDA image.
 *
 * It says so itself: every answer is "no device" (CUDA_ERROR_NO_DEVICE), so nothing can ever be computed with it.
 * The functions are those that libggml-cuda.so is linked to, and the three that the CUDA runtime asks for first.
 * DRIVER_VERSION is what the driver says that it supports: 12040 for CUDA 12.4.
 */
#include <stddef.h>
#include <string.h>

#ifndef DRIVER_VERSION
#define DRIVER_VERSION 12040
#endif

enum { CUDA_SUCCESS = 0, CUDA_ERROR_NO_DEVICE = 100 };

static int no_device(void) { return CUDA_ERROR_NO_DEVICE; }

int cuDriverGetVersion(int *version) {
    *version = DRIVER_VERSION;
    return CUDA_SUCCESS;
}

int cuInit(unsigned flags) {
    (void) flags;
    return no_device();
}

int cuGetProcAddress_v2(const char *name, void **address, int version, unsigned long long flags, int *status) {
    (void) version, (void) flags;
    if (strcmp(name, "cuGetProcAddress") == 0) {
        *address = (void *) cuGetProcAddress_v2;
    } else if (strcmp(name, "cuDriverGetVersion") == 0) {
        *address = (void *) cuDriverGetVersion;
    } else {
        *address = (void *) no_device;
    }
    if (status != NULL) {
        *status = 0;
    }
    return CUDA_SUCCESS;
}

#define NOTHING(name) int name(void) { return no_device(); }
NOTHING(cuDeviceGet)
NOTHING(cuDeviceGetAttribute)
NOTHING(cuGetErrorString)
NOTHING(cuMemAddressFree)
NOTHING(cuMemAddressReserve)
NOTHING(cuMemCreate)
NOTHING(cuMemGetAllocationGranularity)
NOTHING(cuMemMap)
NOTHING(cuMemRelease)
NOTHING(cuMemSetAccess)
NOTHING(cuMemUnmap)
