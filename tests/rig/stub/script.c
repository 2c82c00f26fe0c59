/* Reads the script, and prints templates. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "stub.h"

static struct { uint64_t elements, bytes; } blocks[64];
static struct { char name[32], value[4096]; } variables[96];
static int n_variables;

static void field(char **rest, char *into, size_t size) {
  char *word = strsep(rest, "\t");
  snprintf(into, size, "%s", word ? word : "");
}

static double real(char **rest) {
  char *word = strsep(rest, "\t");
  return word ? atof(word) : 0;
}

static void read_device(struct script *script, char *rest) {
  if (script->n_devices == MOST_DEVICES) return;
  struct device *device = &script->devices[script->n_devices++];
  field(&rest, device->nodes, sizeof device->nodes);
  field(&rest, device->name, sizeof device->name);
  field(&rest, device->banner, sizeof device->banner);
  field(&rest, device->pci, sizeof device->pci);
  device->mib = (unsigned)real(&rest);
  device->card = (unsigned)real(&rest);
}

static void read_fault(struct script *script, char *rest) {
  if (script->n_faults == MOST_FAULTS) return;
  struct fault *found = &script->faults[script->n_faults++];
  field(&rest, found->kind, sizeof found->kind);
  field(&rest, found->at, sizeof found->at);
  field(&rest, found->value, sizeof found->value);
  for (char *at = found->value; (at = strstr(at, "\\n")); at++) {
    *at = '\n';
    memmove(at + 1, at + 2, strlen(at + 2) + 1);
  }
}

static void read_line(struct script *script, const char *key, char *rest) {
  if (!strcmp(key, "device")) read_device(script, rest);
  if (!strcmp(key, "fault")) read_fault(script, rest);
  if (!strcmp(key, "build")) {
    script->build_number = (int)real(&rest);
    field(&rest, script->build_commit, sizeof script->build_commit);
  }
  if (!strcmp(key, "backend")) {
    field(&rest, script->registry, sizeof script->registry);
    field(&rest, script->prefix, sizeof script->prefix);
    field(&rest, script->library, sizeof script->library);
  }
  if (!strcmp(key, "rig")) field(&rest, script->rig, sizeof script->rig);
  if (!strcmp(key, "rates")) script->pp = real(&rest), script->tg = real(&rest);
  if (!strcmp(key, "card")) script->bytes_per_s = real(&rest), script->flops = real(&rest);
  if (!strcmp(key, "noise")) script->within = real(&rest), script->between = real(&rest);
  if (!strcmp(key, "load")) script->load_s = real(&rest);
  if (!strcmp(key, "type")) {
    unsigned number = (unsigned)real(&rest) % 64;
    blocks[number].elements = (uint64_t)real(&rest);
    blocks[number].bytes = (uint64_t)real(&rest);
  }
}

struct script read_script(const char *path) {
  static struct script script;
  char line[4096];
  FILE *f = fopen(path, "r");
  while (f && fgets(line, sizeof line, f)) {
    line[strcspn(line, "\n")] = 0;
    char *rest = line, *key = strsep(&rest, "\t");
    read_line(&script, key, rest);
  }
  if (f) fclose(f);
  return script;
}

const struct fault *fault(const struct script *script, const char *kind, const char *test) {
  for (int i = 0; i < script->n_faults; i++) {
    const struct fault *found = &script->faults[i];
    if (!strcmp(found->kind, kind) && (!strcmp(found->at, "*") || !strcmp(found->at, test))) return found;
  }
  return NULL;
}

bool block_of(unsigned type, uint64_t *elements, uint64_t *bytes) {
  if (type >= 64 || !blocks[type].elements) return false;
  *elements = blocks[type].elements, *bytes = blocks[type].bytes;
  return true;
}

void set(const char *name, const char *format, ...) {
  int i = 0;
  while (i < n_variables && strcmp(variables[i].name, name)) i++;
  if (i == 96) abort();
  if (i == n_variables) snprintf(variables[n_variables++].name, sizeof variables[0].name, "%s", name);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(variables[i].value, sizeof variables[i].value, format, arguments);
  va_end(arguments);
}

const char *get(const char *name) {
  for (int i = 0; i < n_variables; i++)
    if (!strcmp(variables[i].name, name)) return variables[i].value;
  return "";
}

static void expand(FILE *to, const char *text) {
  while (*text) {
    const char *end = *text == '@' ? strchr(text + 1, '@') : NULL;
    if (!end || end - text > 30) {
      fputc(*text++, to);
      continue;
    }
    char name[32];
    snprintf(name, sizeof name, "%.*s", (int)(end - text - 1), text + 1);
    fputs(get(name), to);
    text = end + 1;
  }
}

void print_template(FILE *to, const char *path, const struct device *const *used, int n_used, void (*of_device)(int)) {
  static char line[16384];
  FILE *f = fopen(path, "r");
  while (f && fgets(line, sizeof line, f)) {
    if (!strstr(line, "@dev@") && !strstr(line, "@dev_")) {
      expand(to, line);
      continue;
    }
    for (int i = 0; i < n_used && used[i]; i++) {
      of_device(i);
      expand(to, line);
    }
  }
  if (f) fclose(f);
  fflush(to);
}
