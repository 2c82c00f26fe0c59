/* What the processor can do in a container: reading memory, 32-bit multiply-adds, 8-bit dot products.
 *
 *   probe --threads N --mib M --passes P --ms T
 *
 * Each of N threads reads its own part of M MiB, again and again, for P passes of T milliseconds; then it multiplies in
 * its registers for as long. One line of JSON says how fast all of them were together. Nothing is read or written but
 * standard output, so that it runs in the same closed container as llama.cpp.
 *
 * Threads are not bound to CPUs: llama.cpp does not bind its own unless it is told to.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define MAX_THREADS 1024
#define MAX_PASSES 32
#define ROUNDS 4096

static int n_threads = 1, n_passes = 5;
static int64_t buffer_bytes = 512LL << 20, pass_ns = 100000000;
static char *buffer;
static pthread_barrier_t barrier;
static volatile uint64_t sink;

static int64_t now_ns(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

/* ---- what is timed: each returns how much it did ---- */

typedef uint64_t words __attribute__((vector_size(32), aligned(32), may_alias));

static double read_memory(const char *part, int64_t size) {
    static const int64_t block = 1 << 20;
    double done = 0;
    words sum[4] = {0};
    int64_t end = now_ns() + pass_ns, at = 0;
    while (now_ns() < end) {
        int64_t left = size - at < block ? size - at : block;
        const words *from = (const words *)(part + at);
        for (int64_t i = 0; i + 4 <= left / 32; i += 4)
            for (int k = 0; k < 4; k++) sum[k] += from[i + k];
        done += left;
        at = at + left >= size ? 0 : at + left;
    }
    words all = sum[0] + sum[1] + sum[2] + sum[3];
    sink += all[0] + all[1] + all[2] + all[3];
    return done;
}

/* Twelve sums are enough to hide four cycles behind two units, and few enough for sixteen registers. */
#define SUMS 12
#define FP32_KERNEL(NAME, WIDTH, ATTRIBUTE)                                            \
    ATTRIBUTE static double NAME(void) {                                               \
        typedef float vector __attribute__((vector_size(WIDTH)));                      \
        vector sum[SUMS], x = {0}, y = {0};                                            \
        for (unsigned i = 0; i < WIDTH / 4; i++) x[i] = 0.999f, y[i] = 0.001f;         \
        for (int k = 0; k < SUMS; k++) sum[k] = y;                                     \
        for (int i = 0; i < ROUNDS; i++) {                                             \
            _Pragma("GCC unroll 12") for (int k = 0; k < SUMS; k++) sum[k] = sum[k] * x + y; \
            __asm__ volatile("" ::: "memory");                                         \
        }                                                                              \
        float total = 0;                                                               \
        for (int k = 0; k < SUMS; k++) total += sum[k][0];                             \
        sink += (uint64_t)total;                                                       \
        return 2.0 * ROUNDS * SUMS * (WIDTH / 4);                                      \
    }

#if defined(__x86_64__)
FP32_KERNEL(fp32_sse, 16, )
FP32_KERNEL(fp32_avx2, 32, __attribute__((target("avx2,fma"))))
FP32_KERNEL(fp32_avx512, 64, __attribute__((target("avx512f"))))

/* Bytes times bytes, added in pairs and fours, as llama.cpp multiplies 4- and 8-bit weights with 8-bit activations. */
__attribute__((target("avx2"))) static double int8_avx2(void) {
    __m256i sum[6], x = _mm256_set1_epi8(3), y = _mm256_set1_epi8(1), ones = _mm256_set1_epi16(1);
    for (int k = 0; k < 6; k++) sum[k] = _mm256_setzero_si256();
    for (int i = 0; i < ROUNDS; i++) {
        for (int k = 0; k < 6; k++) {
            /* Hidden from the compiler, which would move what never changes out of the loop. */
            __asm__("" : "+x"(x));
            sum[k] = _mm256_add_epi32(sum[k], _mm256_madd_epi16(_mm256_maddubs_epi16(x, y), ones));
        }
    }
    __m256i all = sum[0];
    for (int k = 1; k < 6; k++) all = _mm256_add_epi32(all, sum[k]);
    sink += (uint64_t)_mm256_extract_epi64(all, 0);
    return 2.0 * ROUNDS * 6 * 32;
}

__attribute__((target("avx512f,avx512vnni"))) static double int8_vnni(void) {
    __m512i sum[SUMS], x = _mm512_set1_epi8(3), y = _mm512_set1_epi8(1);
    for (int k = 0; k < SUMS; k++) sum[k] = _mm512_setzero_si512();
    for (int i = 0; i < ROUNDS; i++)
        for (int k = 0; k < SUMS; k++) {
            __asm__("" : "+v"(x));
            sum[k] = _mm512_dpbusd_epi32(sum[k], x, y);
        }
    __m512i all = sum[0];
    for (int k = 1; k < SUMS; k++) all = _mm512_add_epi32(all, sum[k]);
    sink += (uint64_t)_mm512_reduce_add_epi32(all);
    return 2.0 * ROUNDS * SUMS * 64;
}
#elif defined(__aarch64__)
FP32_KERNEL(fp32_neon, 16, )
__attribute__((target("+dotprod"))) static double int8_dotprod(void) {
    int32x4_t sum[SUMS];
    int8x16_t x = vdupq_n_s8(3), y = vdupq_n_s8(1);
    for (int k = 0; k < SUMS; k++) sum[k] = vdupq_n_s32(0);
    for (int i = 0; i < ROUNDS; i++)
        for (int k = 0; k < SUMS; k++) {
            __asm__("" : "+w"(x));
            sum[k] = vdotq_s32(sum[k], x, y);
        }
    int32x4_t all = sum[0];
    for (int k = 1; k < SUMS; k++) all = vaddq_s32(all, sum[k]);
    sink += (uint64_t)vaddvq_s32(all);
    return 2.0 * ROUNDS * SUMS * 16;
}
#else
FP32_KERNEL(fp32_plain, 16, )
#endif

typedef double (*kernel)(void);
static kernel fp32, int8;
static const char *fp32_name = "plain", *int8_name = "";

static void choose(void) {
#if defined(__x86_64__)
    fp32 = fp32_sse, fp32_name = "sse";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        fp32 = fp32_avx2, fp32_name = "avx2";
        int8 = int8_avx2, int8_name = "avx2";
    }
    if (__builtin_cpu_supports("avx512f")) fp32 = fp32_avx512, fp32_name = "avx512";
    if (__builtin_cpu_supports("avx512vnni")) int8 = int8_vnni, int8_name = "avx512vnni";
#elif defined(__aarch64__)
    fp32 = fp32_neon, fp32_name = "neon";
    FILE *info = fopen("/proc/cpuinfo", "r");
    char line[4096];
    while (info && fgets(line, sizeof line, info))
        if (strstr(line, " asimddp")) int8 = int8_dotprod, int8_name = "dotprod";
    if (info) fclose(info);
#else
    fp32 = fp32_plain;
#endif
}

/* ---- passes ---- */

struct worker {
    int index;
    pthread_t thread;
    double done[3][MAX_PASSES];
    int64_t took_ns[3][MAX_PASSES];
};

static double compute(kernel what) {
    double done = 0;
    int64_t end = now_ns() + pass_ns;
    while (now_ns() < end) done += what();
    return done;
}

static void *work(void *given) {
    struct worker *self = given;
    int64_t size = buffer_bytes / n_threads / 128 * 128;
    char *part = buffer + self->index * size;
    memset(part, 1, size); /* by the thread that reads it, so that it lies in that thread's memory node */
    for (int what = 0; what < 3; what++) {
        kernel kernels[3] = {0, fp32, int8};
        if (what && !kernels[what]) continue;
        for (int pass = 0; pass < n_passes; pass++) {
            pthread_barrier_wait(&barrier);
            int64_t begin = now_ns();
            self->done[what][pass] = what ? compute(kernels[what]) : read_memory(part, size);
            self->took_ns[what][pass] = now_ns() - begin;
        }
    }
    return 0;
}

static void print_rates(const char *name, struct worker *workers, int what) {
    printf(", \"%s\": [", name);
    for (int pass = 0; pass < n_passes; pass++) {
        double rate = 0;
        for (int i = 0; i < n_threads; i++) rate += workers[i].done[what][pass] / (workers[i].took_ns[what][pass] / 1e9);
        printf("%s%.0f", pass ? ", " : "", rate);
    }
    printf("]");
}

static int64_t number(const char *text, int64_t least, int64_t most) {
    char *end;
    int64_t value = strtoll(text, &end, 10);
    if (*end || end == text || value < least || value > most) {
        fprintf(stderr, "probe: %s is no number from %lld to %lld\n", text, (long long)least, (long long)most);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--threads")) n_threads = (int)number(argv[i + 1], 1, MAX_THREADS);
        else if (!strcmp(argv[i], "--mib")) buffer_bytes = number(argv[i + 1], 1, 1 << 20) << 20;
        else if (!strcmp(argv[i], "--passes")) n_passes = (int)number(argv[i + 1], 1, MAX_PASSES);
        else if (!strcmp(argv[i], "--ms")) pass_ns = number(argv[i + 1], 1, 60000) * 1000000;
        else return fprintf(stderr, "probe: unknown option %s\n", argv[i]), 2;
    }
    choose();
    if (posix_memalign((void **)&buffer, 4096, buffer_bytes)) return fprintf(stderr, "probe: no memory\n"), 3;
    struct worker *workers = calloc(n_threads, sizeof *workers);
    if (!workers) return fprintf(stderr, "probe: no memory\n"), 3;
    pthread_barrier_init(&barrier, 0, n_threads);
    for (int i = 0; i < n_threads; i++) {
        workers[i].index = i;
        if (pthread_create(&workers[i].thread, 0, work, &workers[i])) return fprintf(stderr, "probe: no thread\n"), 3;
    }
    for (int i = 0; i < n_threads; i++) pthread_join(workers[i].thread, 0);
    printf("{\"threads\": %d, \"buffer_bytes\": %lld, \"pass_ns\": %lld", n_threads, (long long)buffer_bytes,
           (long long)pass_ns);
    print_rates("read_bytes_per_s", workers, 0);
    print_rates("fp32_flops_per_s", workers, 1);
    if (int8) print_rates("int8_ops_per_s", workers, 2);
    printf(", \"fp32_kernel\": \"%s\", \"int8_kernel\": \"%s\"}\n", fp32_name, int8_name);
    return 0;
}
