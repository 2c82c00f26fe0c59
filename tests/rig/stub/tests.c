/* The tests: their order, how long they take, how they fail, and their rows. */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "stub.h"

enum { MOST_TESTS = 64, MOST_VALUES = 32, MOST_SAMPLES = 128 };
static double run_factor = 1;

static void pause_s(double seconds) {
  struct timespec left = {(time_t)seconds, (long)(fmod(seconds, 1) * 1e9)};
  while (nanosleep(&left, &left)) {}
}

static double gauss(void) {
  uint32_t drawn[2];
  if (getrandom(drawn, sizeof drawn, 0) != sizeof drawn) return 0;
  return sqrt(-2 * log((drawn[0] + 1.0) / 4294967297.0)) * cos(2 * M_PI * drawn[1] / 4294967296.0);
}

static int add(struct test *tests, int n, int pp, int tg, int depth) {
  if (n == MOST_TESTS || pp + tg == 0) return n;
  struct test *test = &tests[n];
  *test = (struct test){.pp = pp, .tg = tg, .depth = depth};
  char shape[40];
  if (pp && tg) snprintf(shape, sizeof shape, "pp%d+tg%d", pp, tg);
  else snprintf(shape, sizeof shape, "%s%d", pp ? "pp" : "tg", pp ? pp : tg);
  if (depth) snprintf(test->name, sizeof test->name, "%s@d%d", shape, depth);
  else snprintf(test->name, sizeof test->name, "%s", shape);
  return n + 1;
}

static int numbers(const char *text, int *into) {
  int n = 0;
  for (char *end; n < MOST_VALUES && *text; text = *end ? end + 1 : end) into[n++] = (int)strtol(text, &end, 10);
  return n;
}

static int make_tests(struct test *tests) {
  int d[MOST_VALUES], values[MOST_VALUES], n = 0, n_depths = numbers(depths, d);
  for (int i = 0; i < n_depths; i++) {
    for (int k = 0, many = numbers(prompts, values); k < many; k++) n = add(tests, n, values[k], 0, d[i]);
    for (int k = 0, many = numbers(generations, values); k < many; k++) n = add(tests, n, 0, values[k], d[i]);
    for (const char *pair = pairs; *pair; pair += strcspn(pair, ";"), pair += *pair == ';')
      n = add(tests, n, atoi(pair), atoi(strchr(pair, ',') + 1), d[i]);
  }
  return n;
}

static double seconds(const struct test *test) {
  double pp = script.pp ? script.pp : script.flops / (2 * (double)model.params);
  double tg = script.tg ? script.tg : script.bytes_per_s / (double)model.size;
  double deeper = 1 + test->depth / 32768.0;
  return (test->pp / pp + test->tg / tg) * deeper * run_factor;
}

static int stop(const struct fault *found, int code) {
  if (*found->value) fprintf(stderr, "%s\n", found->value);
  fflush(NULL);
  if (code == -SIGABRT) abort();
  if (code == -SIGKILL) kill(getpid(), SIGKILL);
  return code;
}

/* The faults that end the process at a test; -1 where none does. */
static int fail(const struct test *test) {
  const struct fault *found;
  if ((found = fault(&script, "context-out-of-memory", test->name))) {
    if (verbose) stop(found, 1);
    fprintf(stderr, "llama_bench: error: failed to create context with model '%s'\n", path);
    return 1;
  }
  if ((found = fault(&script, "abort", test->name))) return stop(found, -SIGABRT);
  if ((found = fault(&script, "killed", test->name))) return stop(found, -SIGKILL);
  if ((found = fault(&script, "hang", test->name))) for (;;) pause();
  return -1;
}

static void print_row(const struct test *test, const double *ns) {
  static char all_ns[4000], all_ts[4000];
  double sum_ns = 0, sum_ts = 0, square_ns = 0, square_ts = 0;
  int tokens = test->pp + test->tg, n = repetitions < MOST_SAMPLES ? repetitions : MOST_SAMPLES;
  *all_ns = *all_ts = 0;
  for (int i = 0; i < n; i++) {
    size_t at_ns = strlen(all_ns), at_ts = strlen(all_ts);
    double ts = 1e9 * tokens / ns[i];
    snprintf(all_ns + at_ns, sizeof all_ns - at_ns, "%s%.0f", i ? ", " : "", ns[i]);
    snprintf(all_ts + at_ts, sizeof all_ts - at_ts, "%s%g", i ? ", " : "", ts);
    sum_ns += ns[i], sum_ts += ts, square_ns += ns[i] * ns[i], square_ts += ts * ts;
  }
  double spread = n > 1 ? n - 1 : 1;
  set("avg_ns", "%.0f", sum_ns / n);
  set("avg_ts", "%.6f", sum_ts / n);
  set("stddev_ns", "%.0f", sqrt(fmax(0, (square_ns - sum_ns * sum_ns / n) / spread)));
  set("stddev_ts", "%.6f", sqrt(fmax(0, (square_ts - sum_ts * sum_ts / n) / spread)));
  set("samples_ns", "%s", all_ns);
  set("samples_ts", "%s", all_ts);
  set("n_prompt", "%d", test->pp);
  set("n_gen", "%d", test->tg);
  set("n_depth", "%d", test->depth);
  print_template(stdout, beside("row.json"), NULL, 0, NULL);
}

static int run_test(const struct test *test) {
  current = test;
  int code = fail(test);
  if (code >= 0) return code;
  set("n_ctx", "%d", (test->pp + test->tg + test->depth + 255) / 256 * 256);
  if (verbose) print_template(stderr, beside("context.txt"), used, n_used, of_used);
  const struct fault *slow = fault(&script, "slow", test->name);
  double each = seconds(test) * (slow ? atof(slow->value) : 1), ns[MOST_SAMPLES];
  show(device_mib() + kv_mib(test) + OVERHEAD_MIB, 97);
  pause_s(test->depth ? seconds(&(struct test){.pp = test->depth}) : 0);
  time_t now = time(NULL);
  char stamp[40];
  strftime(stamp, sizeof stamp, "%FT%TZ", gmtime(&now));
  set("test_time", "%s", stamp);
  for (int i = 0; i < repetitions && i < MOST_SAMPLES; i++) {
    /* The first repetition of a run is slower on real cards, too. */
    ns[i] = round(1e9 * each * exp(script.within * gauss()) * (i ? 1 : 1 + 2 * script.within));
    pause_s(ns[i] / 1e9);
  }
  if (fault(&script, "garbage", test->name)) printf("{\"build_commit\": \"0c1e5\n");
  else print_row(test, ns);
  show(device_mib() + OVERHEAD_MIB, 0);
  return -1;
}

static int load(void) {
  const struct fault *found = fault(&script, "load-out-of-memory", "");
  if (!read_model(path, &model) || found) {
    if (verbose && found) stop(found, 1);
    fprintf(stderr, "llama_bench: error: failed to load model '%s'\n", path);
    return 1;
  }
  if (fault(&script, "fallback", "")) n_used = n_seen = 0;
  if (fault(&script, "host-weights", "")) n_used = 0;
  layers = model.layers + 1;
  int asked = atoi(get("n_gpu_layers"));
  offloaded = asked < 0 || (unsigned)asked > layers ? layers : (unsigned)asked;
  set("host_buffer", "%s", strcmp(get("load_mode"), "mmap") ? "CPU" : "CPU_Mapped");
  set("host_mib", "%.2f", (double)model.size / MIB - device_mib());
  set("file_mib", "%.2f", (double)model.size / MIB);
  set("layers", "%llu", layers);
  set("offloaded", "%llu", offloaded);
  set("repeating", "%llu", offloaded ? offloaded - 1 : 0);
  set("prefix", "%s", script.prefix);
  set("architecture", "%s", model.architecture);
  set("params", "%.2f M", (double)model.params / 1e6);
  set("flash", "%s", strcmp(get("flash_attn"), "0") ? "enabled" : "disabled");
  if (verbose) print_template(stderr, beside("load.txt"), used, n_used, of_used);
  show(device_mib() + OVERHEAD_MIB, 5);
  pause_s(script.load_s);
  return -1;
}

static void describe_row(void) {
  char described[2000] = "";
  for (int i = 0; i < n_seen; i++) {
    size_t length = strlen(described);
    snprintf(described + length, sizeof described - length, "%s%s", i ? ", " : "", seen[i]->name);
  }
  const struct fault *other = fault(&script, "other-device", "");
  set("gpu_info", "%s", other ? other->value : described);
  set("backends", "%s", loads() ? script.registry : "CPU");
  set("model_type", "%s ?B", model.architecture);
  set("model_size", "%llu", (unsigned long long)model.size);
  set("model_n_params", "%llu", (unsigned long long)model.params);
}

int run_tests(void) {
  static struct test tests[MOST_TESTS];
  int code = load();
  if (code >= 0) return code;
  describe_row();
  run_factor = exp(script.between * gauss());
  for (int i = 0, n = make_tests(tests); i < n && code < 0; i++) code = run_test(&tests[i]);
  return code < 0 ? 0 : code;
}
