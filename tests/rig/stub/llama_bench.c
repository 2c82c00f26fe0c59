/* Stands in for llama-bench in a container: prints captured text with scripted numbers, takes the time that it says it
 * took, fails as it is told, and shows the host what it would do to a card (cards.c). Its options, rows and log are those
 * of llama.cpp b11312. */
#include <stdlib.h>
#include <string.h>

#include "stub.h"

struct script script;
struct model model;
bool verbose;
int repetitions = 5;
char path[TEXT] = "", prompts[TEXT] = "512", generations[TEXT] = "128", pairs[TEXT] = "", depths[TEXT] = "0";

static bool list_only;

/* The stub's files lie beside it. */
static char home[TEXT] = "";

const char *beside(const char *name) {
  static char found[TEXT + 64];
  snprintf(found, sizeof found, "%s%s", home, name);
  return found;
}

static const struct { const char *flag, *name; char kind; } OPTIONS[] = {
  {"-b", "n_batch", 'n'}, {"-ub", "n_ubatch", 'n'}, {"-t", "n_threads", 'n'}, {"-ctk", "type_k", 's'},
  {"-ctv", "type_v", 's'}, {"-ngl", "n_gpu_layers", 'n'}, {"-ncmoe", "n_cpu_moe", 'n'}, {"-sm", "split_mode", 's'},
  {"-mg", "main_gpu", 'n'}, {"-nkvo", "no_kv_offload", 'b'}, {"-fa", "flash_attn", 'f'}, {"-dev", "devices", 's'},
  {"-ts", "tensor_split", 't'}, {"-lm", "load_mode", 's'}, {"-ot", "tensor_buft_overrides", 's'},
  {"-embd", "embeddings", 'b'}, {"-nopo", "no_op_offload", 'n'}, {"--no-host", "no_host", 'b'},
  {"--repack", "repack", 'b'}, {"-C", "cpu_mask", 's'}, {"--cpu-strict", "cpu_strict", 'b'}, {"--poll", "poll", 'n'},
};

static int refuse(const char *why, const char *argument) {
  if (why) fprintf(stderr, "%s\n", why);
  fprintf(stderr, "error: invalid parameter for argument: %s\n", argument);
  print_template(stdout, beside("help.txt"), NULL, 0, NULL);
  return 1;
}

static int list(void) {
  say_loaded();  /* for a second time, as the real one does */
  printf("Available devices:\n");
  for (int i = 0; i < n_seen; i++) {
    of_seen(i);
    printf("  %s: %s (%s MiB, %s MiB free)\n", get("dev"), get("dev_name"), get("dev_total"), get("dev_free"));
  }
  if (!n_seen) printf("  (none)\n");
  return 0;
}

static void option(const char *name, char kind, const char *value) {
  bool on = !strcmp(value, "1") || !strcmp(value, "on");
  if (kind == 'b') set(name, "%s", on ? "true" : "false");
  else if (kind == 'f') set(name, "%d", strcmp(value, "auto") ? on : -1);
  else if (kind != 't') set(name, "%s", value);
  else {
    char copy[TEXT], *rest = copy, *part, shown[TEXT] = "";
    snprintf(copy, sizeof copy, "%s", value);
    while ((part = strsep(&rest, "/"))) {
      size_t length = strlen(shown);
      snprintf(shown + length, sizeof shown - length, "%s%.2f", length ? "/" : "", atof(part));
    }
    set(name, "%s", shown);
  }
}

/* Returns -1 where everything is understood, else the exit code. */
static int read_options(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    const char *flag = argv[i];
    if (!strcmp(flag, "-v") || !strcmp(flag, "--verbose")) { verbose = true; continue; }
    if (!strcmp(flag, "--list-devices")) { list_only = true; continue; }
    if (i + 1 == argc) return refuse(NULL, flag);
    const char *value = argv[++i];
    bool known = true;
    if (!strcmp(flag, "-m")) snprintf(path, sizeof path, "%s", value);
    else if (!strcmp(flag, "-r")) repetitions = atoi(value);
    else if (!strcmp(flag, "-p")) snprintf(prompts, sizeof prompts, "%s", value);
    else if (!strcmp(flag, "-n")) snprintf(generations, sizeof generations, "%s", value);
    else if (!strcmp(flag, "-d")) snprintf(depths, sizeof depths, "%s", value);
    else if (!strcmp(flag, "-o")) known = !strcmp(value, "jsonl");
    else if (!strcmp(flag, "-pg")) {
      size_t length = strlen(pairs);
      snprintf(pairs + length, sizeof pairs - length, "%s%s", length ? ";" : "", value);
    } else {
      size_t k = 0;
      while (k < sizeof OPTIONS / sizeof *OPTIONS && strcmp(OPTIONS[k].flag, flag)) k++;
      known = k < sizeof OPTIONS / sizeof *OPTIONS;
      if (known) option(OPTIONS[k].name, OPTIONS[k].kind, value);
    }
    if (!known) return refuse(NULL, flag);
  }
  return -1;
}

static int choose_devices(void) {
  char copy[TEXT], *rest = copy, *name, why[TEXT + 64];
  snprintf(copy, sizeof copy, "%s", get("devices"));
  if (!strcmp(copy, "none")) return -1;
  bool all = !strcmp(copy, "auto");
  for (int i = 0; all && i < n_seen; i++) used[n_used++] = seen[i];
  while (!all && (name = strsep(&rest, "/"))) {
    int k = 0;
    while (k < n_seen && (of_seen(k), strcmp(get("dev"), name))) k++;
    if (k == n_seen) {
      snprintf(why, sizeof why, "error: invalid device: %s", name);
      return refuse(why, "-dev");
    }
    if (n_used < MOST_DEVICES) used[n_used++] = seen[k];
  }
  return -1;
}

int main(int argc, char **argv) {
  const char *end = strrchr(argv[0], '/');
  snprintf(home, sizeof home, "%.*s", end ? (int)(end + 1 - argv[0]) : 0, argv[0]);
  script = read_script(beside("script.txt"));
  set("build_number", "%d", script.build_number);
  set("build_commit", "%s", script.build_commit);
  if (argc == 2 && !strcmp(argv[1], "--help")) return print_template(stdout, beside("help.txt"), NULL, 0, NULL), 0;
  if (argc == 2 && !strcmp(argv[1], "--version"))
    return fprintf(stderr, "version: %d (%s)\nbuilt with a stub for tests\n", script.build_number, script.build_commit), 0;
  show(0, 0);
  for (char **d = (char *[]){"n_batch", "2048", "n_ubatch", "512", "n_threads", "2", "type_k", "f16", "type_v", "f16",
                             "n_gpu_layers", "-1", "n_cpu_moe", "0", "split_mode", "layer", "main_gpu", "0",
                             "no_kv_offload", "false", "flash_attn", "-1", "devices", "auto", "tensor_split", "0.00",
                             "tensor_buft_overrides", "none", "load_mode", "auto", "embeddings", "false",
                             "no_op_offload", "0", "no_host", "false", "repack", "true", "cpu_mask", "0x0",
                             "cpu_strict", "false", "poll", "50", NULL}; *d; d += 2) set(d[0], "%s", d[1]);
  look();
  int code = read_options(argc, argv);
  if (code < 0 && list_only) code = list();
  if (code < 0) code = choose_devices();
  if (code >= 0) return code;
  return run_tests();
}
