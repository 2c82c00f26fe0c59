/* Stands in for NVIDIA's libnvidia-ml.so.1 beneath the real pynvml: the functions that the harness calls, with the
 * signatures and return codes of NVML's header. What the cards do is written into `cards` by tests/rig/nvml.py. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { MOST_CARDS = 4, MOST_PROCESSES = 4 };
enum { OK = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, GPU_IS_LOST = 15 };

struct card {
  char uuid[80], name[96], bus[32];
  unsigned long long total, used, energy_mj, reasons;
  unsigned major, minor, limit_mw, power_mw, utilization, temperature, sm_mhz, memory_mhz, generation, width;
  unsigned lost, n_processes, pids[MOST_PROCESSES];
  unsigned long long held[MOST_PROCESSES];
};
typedef struct card *nvmlDevice_t;

struct card cards[MOST_CARDS];
unsigned n_cards;
int init_code; /* what nvmlInit answers */
char driver_version[80] = "550.54.14";

int nvmlInitWithFlags(unsigned flags) { return flags ? NOT_SUPPORTED : init_code; }
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int code) {
  return code == NOT_SUPPORTED ? "Not Supported" : code == NOT_FOUND ? "Not Found" : code == GPU_IS_LOST ? "GPU is lost"
         : code == 9 ? "Driver Not Loaded" : code == 18 ? "Driver/library version mismatch" : "Unknown Error";
}
int nvmlSystemGetDriverVersion(char *text, unsigned length) { return snprintf(text, length, "%s", driver_version), OK; }
int nvmlDeviceGetCount_v2(unsigned *count) { return *count = n_cards, OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device) {
  if (index >= n_cards) return NOT_FOUND;
  *device = &cards[index];
  return OK;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device) {
  for (unsigned i = 0; i < n_cards; i++)
    if (!strcmp(cards[i].uuid, uuid)) return *device = &cards[i], OK;
  return NOT_FOUND;
}

#define ASK(d) if ((d)->lost) return GPU_IS_LOST
int nvmlDeviceGetName(nvmlDevice_t d, char *text, unsigned n) { ASK(d); return snprintf(text, n, "%s", d->name), OK; }
int nvmlDeviceGetUUID(nvmlDevice_t d, char *text, unsigned n) { ASK(d); return snprintf(text, n, "%s", d->uuid), OK; }
struct pci { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; };
int nvmlDeviceGetPciInfo_v3(nvmlDevice_t d, struct pci *pci) {
  ASK(d);
  memset(pci, 0, sizeof *pci);
  snprintf(pci->bus_id, sizeof pci->bus_id, "%s", d->bus);
  return OK;
}
struct memory { unsigned long long total, free, used; };
int nvmlDeviceGetMemoryInfo(nvmlDevice_t d, struct memory *m) {
  ASK(d);
  *m = (struct memory){d->total, d->total - d->used, d->used};
  return OK;
}
int nvmlDeviceGetCudaComputeCapability(nvmlDevice_t d, int *major, int *minor) {
  ASK(d);
  return *major = (int)d->major, *minor = (int)d->minor, OK;
}
int nvmlDeviceGetMigMode(nvmlDevice_t d, unsigned *now, unsigned *pending) {
  (void)d, (void)now, (void)pending;
  return NOT_SUPPORTED; /* GeForce */
}
struct rates { unsigned gpu, memory; };
int nvmlDeviceGetUtilizationRates(nvmlDevice_t d, struct rates *r) { ASK(d); return r->gpu = r->memory = d->utilization, OK; }
struct process { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; };
int nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t d, unsigned *n, struct process *list) {
  ASK(d);
  unsigned room = *n;
  *n = d->n_processes;
  if (room < d->n_processes) return INSUFFICIENT_SIZE;
  for (unsigned i = 0; i < d->n_processes; i++) list[i] = (struct process){d->pids[i], d->held[i], -1u, -1u};
  return OK;
}
struct value { unsigned id, scope; long long at, latency; int type, code; union { double d; unsigned u; uint64_t ull; } v; };
int nvmlDeviceGetFieldValues(nvmlDevice_t d, int n, struct value *values) {
  ASK(d);
  for (int i = 0; i < n; i++) {
    values[i].code = values[i].id == 186 ? OK : NOT_SUPPORTED; /* NVML_FI_DEV_POWER_INSTANT */
    values[i].v.u = d->power_mw;
  }
  return OK;
}

#define NUMBER(name, type, member) \
  int name(nvmlDevice_t d, type *value) { ASK(d); return *value = d->member, OK; }
NUMBER(nvmlDeviceGetEnforcedPowerLimit, unsigned, limit_mw)
NUMBER(nvmlDeviceGetPowerManagementLimit, unsigned, limit_mw)
unsigned least_limit_mw = 100000, most_limit_mw = 600000, limits_denied;
int nvmlDeviceGetPowerManagementLimitConstraints(nvmlDevice_t d, unsigned *least, unsigned *most) {
  ASK(d);
  return *least = least_limit_mw, *most = most_limit_mw, OK;
}
int nvmlDeviceSetPowerManagementLimit(nvmlDevice_t d, unsigned mw) {
  ASK(d);
  if (limits_denied) return NO_PERMISSION;
  if (mw < least_limit_mw || mw > most_limit_mw) return INVALID_ARGUMENT;
  return d->limit_mw = mw, OK;
}
NUMBER(nvmlDeviceGetPowerUsage, unsigned, power_mw)
NUMBER(nvmlDeviceGetTotalEnergyConsumption, unsigned long long, energy_mj)
NUMBER(nvmlDeviceGetCurrentClocksEventReasons, unsigned long long, reasons)
NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, unsigned, generation)
NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, unsigned, generation)
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, unsigned, width)
int nvmlDeviceGetTemperature(nvmlDevice_t d, int sensor, unsigned *c) { (void)sensor; ASK(d); return *c = d->temperature, OK; }
int nvmlDeviceGetClockInfo(nvmlDevice_t d, int type, unsigned *mhz) { ASK(d); return *mhz = type == 2 ? d->memory_mhz : d->sm_mhz, OK; }
