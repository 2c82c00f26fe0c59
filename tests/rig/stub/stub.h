/* The stub of llama-bench: what its parts know of each other. tests/rig/stub_image.py makes the files that it reads. */
#ifndef STUB_H
#define STUB_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define MOST_DEVICES 8
#define MOST_FAULTS 16
#define TEXT 512
#define OVERHEAD_MIB 400
#define MIB (1024.0 * 1024.0)

/* A card that a container may have: it has it where every node can be opened for reading and writing. */
struct device {
  char nodes[TEXT]; /* paths, joined by commas; empty: always there */
  char name[TEXT];  /* as the backend describes it */
  char banner[TEXT];
  char pci[64];
  unsigned mib;
  unsigned card; /* number of the made-up card that the host shows */
};

/* What goes wrong: `kind` at the test `at` (tg128, pp512@d4096, or * for all), with a number or a text. */
struct fault {
  char kind[64], at[64], value[TEXT];
};

struct script {
  int build_number;
  char rig[8], build_commit[64], registry[64], prefix[64], library[64];
  struct device devices[MOST_DEVICES];
  int n_devices;
  struct fault faults[MOST_FAULTS];
  int n_faults;
  double pp, tg;                 /* tokens a second, 0 where they follow from the model */
  double bytes_per_s, flops;     /* of the card: rates of a model that no rate is written for */
  double within, between, load_s; /* relative noise of a repetition and of a run; seconds of loading */
};

struct model {
  char architecture[64];
  uint64_t size, params, embedding, layers, kv_bytes_per_token;
};

struct script read_script(const char *path);
const struct fault *fault(const struct script *script, const char *kind, const char *test);
/* Block sizes by ggml's number of a type are lines `type NUMBER ELEMENTS BYTES` of the script. */
bool block_of(unsigned type, uint64_t *elements, uint64_t *bytes);
bool read_model(const char *path, struct model *model);

/* Texts with @name@ in them. A line that holds @dev@ or @dev_...@ is printed once for each device in use. */
void set(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *get(const char *name);
void print_template(FILE *to, const char *path, const struct device *const *used, int n_used, void (*of_device)(int));

/* What was asked for. */
extern struct script script;
extern struct model model;
extern bool verbose;
extern int repetitions;
extern char path[TEXT], prompts[TEXT], generations[TEXT], pairs[TEXT], depths[TEXT];
/* A file beside the stub. */
const char *beside(const char *name);

/* The cards that the process sees, and those that it computes on. */
struct test { int pp, tg, depth; char name[64]; };
extern const struct device *seen[MOST_DEVICES], *used[MOST_DEVICES];
extern int n_seen, n_used;
extern unsigned long long layers, offloaded;
extern const struct test *current;
bool loads(void);
void look(void);
void say_loaded(void);
void of_seen(int i);
void of_used(int i);
void show(double mib, int percent);
double device_mib(void);
double kv_mib(const struct test *test);

/* Loads the model and runs all tests; the exit code. */
int run_tests(void);

#endif
