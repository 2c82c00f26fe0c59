/* A GGUF header: how large the model is, and what of it lies where. Files of the tests only: nothing here is hardened. */
#include <stdlib.h>
#include <string.h>

#include "stub.h"

static uint64_t number(FILE *f, int bytes) {
  uint64_t value = 0;
  if (fread(&value, (size_t)bytes, 1, f) != 1) return 0;
  return value;
}

static void text(FILE *f, char *into, size_t size) {
  uint64_t length = number(f, 8), kept = length < size - 1 ? length : size - 1;
  if (fread(into, 1, kept, f) != kept) kept = 0;
  into[kept] = 0;
  fseek(f, (long)(length - kept), SEEK_CUR);
}

static const int SIZES[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
enum { STRING = 8, ARRAY = 9 };

static uint64_t value(FILE *f, unsigned type, char *into, size_t size) {
  if (type == STRING) {
    text(f, into, size);
    return 0;
  }
  if (type != ARRAY) return number(f, SIZES[type]);
  unsigned of = (unsigned)number(f, 4);
  uint64_t count = number(f, 8);
  char unused[8];
  if (of != STRING) fseek(f, (long)(count * (uint64_t)SIZES[of]), SEEK_CUR);
  for (uint64_t i = 0; of == STRING && i < count; i++) text(f, unused, sizeof unused);
  return 0;
}

static bool ends(const char *key, const char *end) {
  size_t have = strlen(key), want = strlen(end);
  return have > want && !strcmp(key + have - want, end);
}

bool read_model(const char *path, struct model *model) {
  FILE *f = fopen(path, "rb");
  if (!f) return false;
  memset(model, 0, sizeof *model);
  if (number(f, 4) != 0x46554747 /* GGUF */) {
    fclose(f);
    return false;
  }
  number(f, 4);
  uint64_t tensors = number(f, 8), entries = number(f, 8), heads = 0, heads_kv = 0, width = 0;
  char key[256], words[256];
  for (uint64_t i = 0; i < entries; i++) {
    text(f, key, sizeof key);
    unsigned type = (unsigned)number(f, 4);
    uint64_t found = value(f, type, words, sizeof words);
    if (!strcmp(key, "general.architecture")) snprintf(model->architecture, sizeof model->architecture, "%.60s", words);
    if (ends(key, ".block_count")) model->layers = found;
    if (ends(key, ".embedding_length")) width = found;
    if (ends(key, ".attention.head_count")) heads = found;
    if (ends(key, ".attention.head_count_kv")) heads_kv = found;
  }
  for (uint64_t i = 0; i < tensors; i++) {
    text(f, key, sizeof key);
    uint64_t count = 1, block = 1, bytes = 4;
    for (uint64_t dims = number(f, 4); dims > 0; dims--) count *= number(f, 8);
    if (!block_of((unsigned)number(f, 4), &block, &bytes)) return false;
    number(f, 8);
    model->params += count;
    model->size += count / block * bytes;
    if (!strcmp(key, "token_embd.weight")) model->embedding = count / block * bytes;
  }
  fclose(f);
  /* Keys and values of f16 in every layer. */
  if (heads) model->kv_bytes_per_token = 4 * model->layers * width * (heads_kv ? heads_kv : heads) / heads;
  return model->size > 0;
}
