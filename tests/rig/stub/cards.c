/* The cards: which of them the process sees and uses, and what it would do to them. The host reads that from the
 * process's name (/proc/PID/comm): `RIG:CARDS:MIB:PERCENT`, where RIG names the rig that made the script and CARDS is a bit mask. */
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "stub.h"

const struct device *seen[MOST_DEVICES], *used[MOST_DEVICES];
int n_seen, n_used;
const struct test *current;

unsigned long long layers, offloaded;

double kv_mib(const struct test *test) {
  int tokens = (test->pp + test->tg + test->depth + 255) / 256 * 256;
  return (double)tokens * (double)model.kv_bytes_per_token / MIB;
}

/* What the cards of the host do because of this process. */
void show(double mib, int percent) {
  unsigned mask = 0;
  for (int i = 0; i < n_used; i++) mask |= 1u << used[i]->card;
  if (fault(&script, "host-memory", "")) mib = 0;
  if (fault(&script, "idle", "")) percent = 0;
  char name[16];
  snprintf(name, sizeof name, "%s:%x:%.0f:%d", *script.rig ? script.rig : "rig", mask, n_used ? mib : 0, n_used ? percent : 0);
  prctl(PR_SET_NAME, name);
}

static bool opens(const char *nodes) {
  char copy[TEXT], *rest = copy, *node;
  snprintf(copy, sizeof copy, "%s", nodes);
  while ((node = strsep(&rest, ","))) {
    int descriptor = *node ? open(node, O_RDWR) : 0;
    if (descriptor < 0) return false;
    if (*node) close(descriptor);
  }
  return true;
}

void of_seen(int i) {
  set("dev_number", "%d", i);
  set("dev", "%s%d", script.prefix, i);
  set("dev_name", "%s", seen[i]->name);
  set("dev_banner", "%s", seen[i]->banner);
  set("dev_total", "%u", seen[i]->mib);
  set("dev_free", "%u", seen[i]->mib - OVERHEAD_MIB);
}


double device_mib(void) {
  double weights = (double)(model.size - model.embedding) / MIB;
  return n_used && layers ? weights * (double)offloaded / (double)layers : 0;
}

void of_used(int i) {
  for (int k = 0; k < n_seen; k++)
    if (seen[k] == used[i]) of_seen(k);
  set("dev_pci", "%s", used[i]->pci);
  set("dev_mib", "%.2f", device_mib() / n_used);
  set("dev_kv_mib", "%.2f", current ? kv_mib(current) / n_used : 0);
}

bool loads(void) { return *script.prefix && !fault(&script, "no-library", ""); }

void say_loaded(void) {
  if (loads()) fprintf(stderr, "load_backend: loaded %s backend from /app/%s\n", script.registry, script.library);
  fprintf(stderr, "load_backend: loaded CPU backend from /app/libggml-cpu-zen4.so\n");
}

void look(void) {
  for (int i = 0; loads() && i < script.n_devices; i++)
    if (opens(script.devices[i].nodes)) seen[n_seen++] = &script.devices[i];
  set("n_seen", "%d", n_seen);
  unsigned total = 0;
  for (int i = 0; i < n_seen; i++) total += seen[i]->mib;
  set("total_mib", "%u", total);
  const struct fault *driver = fault(&script, "driver", "");
  set("why_none", "%s", driver ? driver->value : "");
  if (loads() && driver) n_seen = 0;
  if (loads()) print_template(stderr, beside(driver ? "banner-driver.txt" : n_seen ? "banner.txt" : "banner-none.txt"),
                              seen, n_seen, of_seen);
  say_loaded();
}

