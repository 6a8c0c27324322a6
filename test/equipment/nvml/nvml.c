/*
 * Test equipment: a libnvidia-ml.so.1 with scripted devices, for machines without a GPU.
 *
 * It imitates the calling convention, struct layouts, version words, handles and return codes of the functions below
 * for H100-like devices. It does not imitate a driver: values are made up from the GPU's index, nothing is sampled over
 * time, no call takes long unless the script says so, and a call "blocked for ever" sleeps in user space, so the kernel
 * can end its process, which it cannot with a process that waits inside the real driver. The layouts come from the same
 * notes as the collector's; a mistake in both is not found here.
 *
 * The script is the file nvml.script beside the library, read again whenever it changes:
 *   gpus N                          number of devices (default 8)
 *   tick N                          added to every counter
 *   gpu I return FUNCTION CODE      FUNCTION, or * for all that take a device
 *   gpu I block FUNCTION
 *   gpu I delay FUNCTION MS         the call takes so long, and notes "delay PID" in the journal when it begins
 *   return FUNCTION CODE            for functions without a device
 *   block FUNCTION
 *   mig I N                         device I is in MIG mode with N instances 1g.10gb
 *   nogpm                           as before Hopper
 *   xid SERIAL I CODE               an event, delivered once per event set
 *   process I PID BYTES             a compute process
 * nvml.journal beside it gets a line "init PID" or "shutdown PID" for each of these calls that succeeded, "events PID" and
 * "noevents PID" for an event set made and freed.
 * -DOLD_DRIVER leaves out the functions that drivers before 520 lack.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_GPUS 16
#define MAX_RULES 128
#define API __attribute__((visibility("default")))

enum { OK = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
       TIMEOUT = 10, VERSION_MISMATCH = 25 };

typedef unsigned int u32;
typedef unsigned long long u64;

struct device { u32 magic; u32 index; int instance; };
struct rule { int gpu; char call[64]; int blocks; int code; int delayMs; };
struct xid { int serial; int gpu; u64 code; };
struct process { int gpu; u32 pid; u64 bytes; };

static struct {
  u32 gpus; u64 tick; int nogpm; int mig[MAX_GPUS];
  struct rule rules[MAX_RULES]; int ruleCount;
  struct xid xids[MAX_RULES]; int xidCount;
  struct process processes[MAX_RULES]; int processCount;
} script;

static struct device devices[MAX_GPUS];
static struct device instances[MAX_GPUS][7];
static int initialised;

static void parseLine(const char *line) {
  int gpu, n, code, serial; u32 pid; u64 number; char call[64];
  struct rule *rule = &script.rules[script.ruleCount];
  if (sscanf(line, "gpus %d", &n) == 1) script.gpus = (u32)n > MAX_GPUS ? MAX_GPUS : (u32)n;
  else if (sscanf(line, "tick %llu", &number) == 1) script.tick = number;
  else if (strncmp(line, "nogpm", 5) == 0) script.nogpm = 1;
  else if (sscanf(line, "mig %d %d", &gpu, &n) == 2 && gpu < MAX_GPUS) script.mig[gpu] = n;
  else if (sscanf(line, "xid %d %d %llu", &serial, &gpu, &number) == 3 && script.xidCount < MAX_RULES)
    script.xids[script.xidCount++] = (struct xid){serial, gpu, number};
  else if (sscanf(line, "process %d %u %llu", &gpu, &pid, &number) == 3 && script.processCount < MAX_RULES)
    script.processes[script.processCount++] = (struct process){gpu, pid, number};
  else if (script.ruleCount >= MAX_RULES) return;
  else if (sscanf(line, "gpu %d return %63s %d", &gpu, call, &code) == 3) *rule = (struct rule){gpu, "", 0, code, 0};
  else if (sscanf(line, "gpu %d block %63s", &gpu, call) == 2) *rule = (struct rule){gpu, "", 1, 0, 0};
  else if (sscanf(line, "gpu %d delay %63s %d", &gpu, call, &n) == 3) *rule = (struct rule){gpu, "", 0, 0, n};
  else if (sscanf(line, "return %63s %d", call, &code) == 2) *rule = (struct rule){-1, "", 0, code, 0};
  else if (sscanf(line, "block %63s", call) == 1) *rule = (struct rule){-1, "", 1, 0, 0};
  else return;
  if (rule->blocks || rule->code || rule->delayMs) { strcpy(rule->call, call); script.ruleCount++; }
}

static const char *besideLibrary(const char *name) {
  static char path[4096];
  Dl_info info;
  if (!dladdr((void *)besideLibrary, &info)) abort();
  snprintf(path, sizeof path, "%s", info.dli_fname);
  char *slash = strrchr(path, '/');
  strcpy(slash ? slash + 1 : path, name);
  return path;
}

static void note(const char *what) {
  FILE *file = fopen(besideLibrary("nvml.journal"), "a");
  if (!file) return;
  fprintf(file, "%s %d\n", what, (int)getpid());
  fclose(file);
}

static void readScript(void) {
  static char path[4096];
  static struct timespec readAt; static off_t readSize = -1; static ino_t readInode;
  if (path[0] == 0) strcpy(path, besideLibrary("nvml.script"));
  struct stat now;
  if (stat(path, &now) != 0) { if (readSize < 0) script.gpus = 8; return; }
  if (now.st_size == readSize && now.st_ino == readInode && now.st_mtim.tv_sec == readAt.tv_sec &&
      now.st_mtim.tv_nsec == readAt.tv_nsec) return;
  FILE *file = fopen(path, "r");
  if (!file) return;
  memset(&script, 0, sizeof script);
  script.gpus = 8;
  char line[256];
  while (fgets(line, sizeof line, file)) parseLine(line);
  fclose(file);
  readAt = now.st_mtim; readSize = now.st_size; readInode = now.st_ino;
}

static int scripted(int gpu, const char *call) {
  readScript();
  for (int i = 0; i < script.ruleCount; i++) {
    struct rule *rule = &script.rules[i];
    if (rule->gpu != gpu || (strcmp(rule->call, call) != 0 && strcmp(rule->call, "*") != 0)) continue;
    if (rule->delayMs) { note("delay"); usleep(1000u * (unsigned)rule->delayMs); return OK; }
    if (!rule->blocks) return rule->code;
    for (;;) pause();
  }
  return OK;
}

/* First line of a function without a device, and of one with a device. */
#define SYSTEM() do { int code_ = scripted(-1, __func__); if (code_) return code_; \
  if (!initialised) return UNINITIALIZED; } while (0)
#define DEVICE(d) do { if (!initialised) return UNINITIALIZED; \
  if (!(d) || (d)->magic != 0x6d6c7664 || (d)->index >= script.gpus) return INVALID_ARGUMENT; \
  int code_ = scripted((int)(d)->index, __func__); if (code_) return code_; } while (0)
#define WHOLE(d) do { DEVICE(d); if ((d)->instance >= 0) return NOT_SUPPORTED; } while (0)
#define NOT_IN_MIG(d) do { WHOLE(d); if (script.mig[(d)->index]) return NOT_SUPPORTED; } while (0)

typedef struct device *Device;

API int nvmlInit_v2(void) {
  int code = scripted(-1, __func__);
  if (code) return code;
  initialised++;
  note("init");
  for (u32 i = 0; i < MAX_GPUS; i++) {
    devices[i] = (struct device){0x6d6c7664, i, -1};
    for (int k = 0; k < 7; k++) instances[i][k] = (struct device){0x6d6c7664, i, k};
  }
  return OK;
}
API int nvmlShutdown(void) {
  int code = scripted(-1, __func__);
  if (code) return code;
  if (!initialised) return UNINITIALIZED;
  initialised--;
  note("shutdown");
  return OK;
}

static int text(char *out, u32 room, const char *value) {
  if (strlen(value) + 1 > room) return INSUFFICIENT_SIZE;
  strcpy(out, value);
  return OK;
}
API int nvmlSystemGetDriverVersion(char *out, u32 room) { SYSTEM(); return text(out, room, "570.86.15"); }
API int nvmlSystemGetNVMLVersion(char *out, u32 room) { SYSTEM(); return text(out, room, "12.570.86.15"); }
API int nvmlDeviceGetCount_v2(u32 *count) { SYSTEM(); *count = script.gpus; return OK; }

API int nvmlDeviceGetHandleByIndex_v2(u32 index, Device *out) {
  SYSTEM();
  if (index >= script.gpus) return INVALID_ARGUMENT;
  int code = scripted((int)index, __func__);
  if (code) return code;
  *out = &devices[index];
  return OK;
}
static void busId(u32 index, char *out) { sprintf(out, "00000000:%02X:00.0", 0x18 + 0x11 * index); }
API int nvmlDeviceGetHandleByPciBusId_v2(const char *id, Device *out) {
  SYSTEM();
  for (u32 i = 0; i < script.gpus; i++) {
    char own[32];
    busId(i, own);
    if (strcasecmp(own, id) != 0) continue;
    int code = scripted((int)i, __func__);
    if (code) return code;
    *out = &devices[i];
    return OK;
  }
  return NOT_FOUND;
}

API int nvmlDeviceGetName(Device d, char *out, u32 room) {
  DEVICE(d);
  return text(out, room, d->instance < 0 ? "NVIDIA H100 80GB HBM3" : "NVIDIA H100 80GB HBM3 MIG 1g.10gb");
}
API int nvmlDeviceGetUUID(Device d, char *out, u32 room) {
  DEVICE(d);
  char uuid[96];
  sprintf(uuid, "GPU-00000000-0000-4000-8000-0000000000%02x", d->index);
  return text(out, room, uuid);
}
API int nvmlDeviceGetSerial(Device d, char *out, u32 room) {
  WHOLE(d);
  char serial[30];
  sprintf(serial, "16500230000%02u", d->index);
  return text(out, room, serial);
}
API int nvmlDeviceGetBrand(Device d, u32 *out) { WHOLE(d); *out = 14; return OK; }
API int nvmlDeviceGetVbiosVersion(Device d, char *out, u32 room) { WHOLE(d); return text(out, room, "96.00.89.00.01"); }
API int nvmlDeviceGetInforomImageVersion(Device d, char *out, u32 room) { WHOLE(d); return text(out, room, "G520.0200.00.05"); }
API int nvmlDeviceGetInforomVersion(Device d, u32 object, char *out, u32 room) {
  WHOLE(d);
  return object > 2 ? INVALID_ARGUMENT : text(out, room, object == 0 ? "2.1" : object == 1 ? "7.16" : "1.0");
}

struct pciInfo { char legacy[16]; u32 domain, bus, device, deviceId, subsystemId; char id[32]; };
_Static_assert(sizeof(struct pciInfo) == 68 && offsetof(struct pciInfo, id) == 36, "nvmlPciInfo_t");
API int nvmlDeviceGetPciInfo_v3(Device d, struct pciInfo *out) {
  WHOLE(d);
  memset(out, 0, sizeof *out);
  busId(d->index, out->id);
  memcpy(out->legacy, out->id + 4, 13);
  out->bus = 0x18 + 0x11 * d->index;
  out->deviceId = 0x233010de;
  return OK;
}

#define NUMBER(name, value) API int name(Device d, u32 *out) { WHOLE(d); *out = (value); return OK; }
NUMBER(nvmlDeviceGetPersistenceMode, 1)
NUMBER(nvmlDeviceGetPowerUsage, 312000 + 1000 * d->index)
NUMBER(nvmlDeviceGetPowerManagementLimit, 700000)
NUMBER(nvmlDeviceGetEnforcedPowerLimit, 650000)
NUMBER(nvmlDeviceGetPowerManagementDefaultLimit, 700000)
NUMBER(nvmlDeviceGetPerformanceState, 0)
NUMBER(nvmlDeviceGetPcieReplayCounter, d->index)
NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, 5)
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, 16)
NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, 5)
NUMBER(nvmlDeviceGetMaxPcieLinkWidth, 16)

API int nvmlDeviceGetTemperature(Device d, u32 sensor, u32 *out) {
  WHOLE(d);
  if (sensor != 0) return INVALID_ARGUMENT;
  *out = 40 + d->index;
  return OK;
}
API int nvmlDeviceGetTemperatureThreshold(Device d, u32 kind, u32 *out) {
  WHOLE(d);
  static const u32 celsius[] = {95, 92, 95, 87};
  if (kind > 3) return NOT_SUPPORTED;
  *out = celsius[kind];
  return OK;
}
API int nvmlDeviceGetTotalEnergyConsumption(Device d, u64 *out) {
  WHOLE(d);
  *out = 123456789012ULL + d->index + script.tick;
  return OK;
}
API int nvmlDeviceGetPowerManagementLimitConstraints(Device d, u32 *least, u32 *most) {
  WHOLE(d);
  *least = 200000; *most = 700000;
  return OK;
}
API int nvmlDeviceGetClockInfo(Device d, u32 kind, u32 *out) {
  WHOLE(d);
  if (kind > 3) return INVALID_ARGUMENT;
  *out = kind == 2 ? 2619 : 1980 - 15 * d->index;
  return OK;
}
API int nvmlDeviceGetCurrentClocksThrottleReasons(Device d, u64 *out) { WHOLE(d); *out = d->index == 5 ? 0x24 : 0; return OK; }
#ifndef OLD_DRIVER
API int nvmlDeviceGetCurrentClocksEventReasons(Device d, u64 *out) { WHOLE(d); *out = d->index == 5 ? 0x24 : 0; return OK; }
#endif

struct utilization { u32 gpu, memory; };
API int nvmlDeviceGetUtilizationRates(Device d, struct utilization *out) {
  NOT_IN_MIG(d);
  *out = (struct utilization){90 + d->index, 30 + d->index};
  return OK;
}
API int nvmlDeviceGetEncoderUtilization(Device d, u32 *out, u32 *period) { NOT_IN_MIG(d); *out = 0; *period = 167000; return OK; }
API int nvmlDeviceGetDecoderUtilization(Device d, u32 *out, u32 *period) { NOT_IN_MIG(d); *out = 0; *period = 167000; return OK; }

#define MIB (1024ULL * 1024)
struct memory { u64 total, free, used; };
struct memory2 { u32 version; u64 total, reserved, free, used; };
_Static_assert(sizeof(struct memory2) == 40 && offsetof(struct memory2, used) == 32, "nvmlMemory_v2_t");
static u64 totalMemory(Device d) { return (d->instance < 0 ? 81559 : 9984) * MIB; }
API int nvmlDeviceGetMemoryInfo(Device d, struct memory *out) {
  DEVICE(d);
  u64 used = 1000 * MIB;
  *out = (struct memory){totalMemory(d), totalMemory(d) - used, used};
  return OK;
}
#ifndef OLD_DRIVER
API int nvmlDeviceGetMemoryInfo_v2(Device d, struct memory2 *out) {
  DEVICE(d);
  if (out->version != 0x02000028) return VERSION_MISMATCH;
  u64 reserved = 551 * MIB, used = (1000 + d->index) * MIB;
  *out = (struct memory2){out->version, totalMemory(d), reserved, totalMemory(d) - reserved - used, used};
  return OK;
}
#endif

API int nvmlDeviceGetEccMode(Device d, u32 *current, u32 *pending) { WHOLE(d); *current = *pending = 1; return OK; }
API int nvmlDeviceGetTotalEccErrors(Device d, u32 type, u32 counter, u64 *out) {
  WHOLE(d);
  if (type > 1 || counter > 1) return INVALID_ARGUMENT;
  *out = type == 0 ? 3 + counter : 0;
  return OK;
}
API int nvmlDeviceGetRetiredPages(Device d, u32 cause, u32 *count, u64 *addresses) { (void)cause; (void)count; (void)addresses; WHOLE(d); return NOT_SUPPORTED; }
API int nvmlDeviceGetRetiredPagesPendingStatus(Device d, u32 *out) { (void)out; WHOLE(d); return NOT_SUPPORTED; }
API int nvmlDeviceGetRemappedRows(Device d, u32 *correctable, u32 *uncorrectable, u32 *pending, u32 *failed) {
  WHOLE(d);
  *correctable = 0; *uncorrectable = d->index == 6 ? 2 : 0; *pending = d->index == 6; *failed = 0;
  return OK;
}
struct banks { u32 max, high, partial, low, none; };
API int nvmlDeviceGetRowRemapperHistogram(Device d, struct banks *out) {
  WHOLE(d);
  *out = d->index == 6 ? (struct banks){2558, 2, 0, 0, 0} : (struct banks){2560, 0, 0, 0, 0};
  return OK;
}

struct fieldValue { u32 id, scope; long long timestamp, latency; u32 type; int code; union { double d; u32 u; u64 ull; } value; };
_Static_assert(sizeof(struct fieldValue) == 40 && offsetof(struct fieldValue, value) == 32, "nvmlFieldValue_t");
static int fillField(Device d, struct fieldValue *field) {
  u64 wide = 0;
  switch (field->id) {
    case 74: wide = 5000000000ULL + script.tick; break;
    case 75: case 76: case 77: case 78: case 79: wide = 0; break;
    /* One driver release called the unsigned temperature a double. */
    case 82: field->type = 0; field->value.ull = 0; field->value.u = 50 + d->index; return OK;
    case 91: field->type = 1; field->value.u = 18; return OK;
    /* One direction of one link; link 7 does not tell. */
    case 138: case 139:
      if (field->scope < 18) {
        if (field->scope == 7) return NOT_SUPPORTED;
        wide = 1000 * field->scope + script.tick;
        break;
      }
      wide = 1000000000ULL + (field->id == 138 ? 600 : 400) * script.tick;
      break;
    case 38: case 45: case 52: case 59: wide = d->index == 2 ? 7 : 0; break;
    case 230: field->type = 1; field->value.u = d->index == 6 ? 1 : 0; return OK;
    default: return NOT_SUPPORTED;
  }
  field->type = 3;
  field->value.ull = wide;
  return OK;
}
API int nvmlDeviceGetFieldValues(Device d, int count, struct fieldValue *fields) {
  WHOLE(d);
  if (count < 1) return INVALID_ARGUMENT;
  for (int i = 0; i < count; i++) {
    fields[i].timestamp = 1760000000000000LL;
    fields[i].latency = 1;
    fields[i].code = fillField(d, &fields[i]);
  }
  return OK;
}
API int nvmlDeviceGetNvLinkState(Device d, u32 link, u32 *out) {
  WHOLE(d);
  if (link >= 18) return INVALID_ARGUMENT;
  *out = !(d->index == 2 && link == 7);
  return OK;
}
struct fabric { u32 version; unsigned char cluster[16]; int status; u32 clique; unsigned char state; u32 health; };
_Static_assert(sizeof(struct fabric) == 36 && offsetof(struct fabric, health) == 32, "nvmlGpuFabricInfo_v2_t");
#ifndef OLD_DRIVER
API int nvmlDeviceGetGpuFabricInfoV(Device d, struct fabric *out) {
  WHOLE(d);
  if (out->version != 0x02000024) return VERSION_MISMATCH;
  out->status = OK; out->state = 3; out->health = 2;
  return OK;
}
#endif

API int nvmlDeviceGetMigMode(Device d, u32 *current, u32 *pending) { WHOLE(d); *current = *pending = script.mig[d->index] > 0; return OK; }
API int nvmlDeviceGetMaxMigDeviceCount(Device d, u32 *out) { WHOLE(d); *out = 7; return OK; }
API int nvmlDeviceGetMigDeviceHandleByIndex(Device d, u32 index, Device *out) {
  WHOLE(d);
  if ((int)index >= script.mig[d->index]) return NOT_FOUND;
  *out = &instances[d->index][index];
  return OK;
}
API int nvmlDeviceGetGpuInstanceId(Device d, u32 *out) {
  DEVICE(d);
  if (d->instance < 0) return NOT_SUPPORTED;
  *out = 7 + (u32)d->instance;
  return OK;
}

struct processInfo { u32 pid; u64 used; u32 gpuInstance, computeInstance; };
_Static_assert(sizeof(struct processInfo) == 24, "nvmlProcessInfo_t");
API int nvmlDeviceGetComputeRunningProcesses_v3(Device d, u32 *count, struct processInfo *out) {
  WHOLE(d);
  u32 found = 0;
  for (int i = 0; i < script.processCount; i++) {
    struct process *process = &script.processes[i];
    if (process->gpu != (int)d->index) continue;
    if (found < *count) out[found] = (struct processInfo){process->pid, process->bytes, ~0u, ~0u};
    found++;
  }
  int code = found > *count ? INSUFFICIENT_SIZE : OK;
  *count = found;
  return code;
}
API int nvmlDeviceGetGraphicsRunningProcesses_v3(Device d, u32 *count, struct processInfo *out) { (void)out; WHOLE(d); *count = 0; return OK; }

struct eventData { Device device; u64 type, data; u32 gpuInstance, computeInstance; };
_Static_assert(sizeof(struct eventData) == 32, "nvmlEventData_t");
struct eventSet { int delivered; u32 registered; };
API int nvmlEventSetCreate(struct eventSet **out) { SYSTEM(); *out = calloc(1, sizeof **out); note("events"); return OK; }
API int nvmlEventSetFree(struct eventSet *set) { SYSTEM(); free(set); note("noevents"); return OK; }
API int nvmlDeviceGetSupportedEventTypes(Device d, u64 *out) { WHOLE(d); *out = 0x1f; return OK; }
API int nvmlDeviceRegisterEvents(Device d, u64 types, struct eventSet *set) {
  WHOLE(d);
  if (types & ~0x1fULL) return NOT_SUPPORTED;
  set->registered |= 1u << d->index;
  return OK;
}
API int nvmlEventSetWait_v2(struct eventSet *set, struct eventData *out, u32 timeoutMs) {
  (void)timeoutMs;
  SYSTEM();
  for (int i = 0; i < script.xidCount; i++) {
    struct xid *xid = &script.xids[i];
    if (xid->serial <= set->delivered || !(set->registered & (1u << xid->gpu))) continue;
    set->delivered = xid->serial;
    *out = (struct eventData){&devices[xid->gpu], 0x8, xid->code, ~0u, ~0u};
    return OK;
  }
  return TIMEOUT;
}

struct gpmSupport { u32 version, supported; };
struct gpmSample { Device device; int instance; int filled; };
struct gpmMetric { u32 id; int code; double value; void *names[3]; };
struct gpmMetricsGet { u32 version, count; struct gpmSample *older, *newer; struct gpmMetric metrics[]; };
_Static_assert(sizeof(struct gpmMetric) == 40 && offsetof(struct gpmMetricsGet, metrics) == 24, "nvmlGpmMetricsGet_t");
#ifndef OLD_DRIVER
API int nvmlGpmQueryDeviceSupport(Device d, struct gpmSupport *out) {
  DEVICE(d);
  if (out->version != 1) return VERSION_MISMATCH;
  out->supported = !script.nogpm;
  return OK;
}
API int nvmlGpmSampleAlloc(struct gpmSample **out) { *out = calloc(1, sizeof **out); return OK; }
API int nvmlGpmSampleFree(struct gpmSample *sample) { free(sample); return OK; }
API int nvmlGpmSampleGet(Device d, struct gpmSample *sample) {
  WHOLE(d);
  if (script.nogpm) return NOT_SUPPORTED;
  *sample = (struct gpmSample){d, -1, 1};
  return OK;
}
API int nvmlGpmMigSampleGet(Device d, u32 gpuInstance, struct gpmSample *sample) {
  WHOLE(d);
  *sample = (struct gpmSample){d, (int)gpuInstance, 1};
  return OK;
}
API int nvmlGpmMetricsGet(struct gpmMetricsGet *get) {
  SYSTEM();
  if (get->version != 1) return VERSION_MISMATCH;
  struct gpmSample *a = get->older, *b = get->newer;
  if (!a || !b || a == b || !a->filled || !b->filled || a->device != b->device || a->instance != b->instance)
    return INVALID_ARGUMENT;
  for (u32 i = 0; i < get->count; i++) {
    struct gpmMetric *metric = &get->metrics[i];
    metric->code = OK;
    /* Percentages, or MiB/s from 20 on; one metric is not a number. */
    if (metric->id == 13) metric->value = NAN;
    else if (metric->id < 20) metric->value = 50.0 + metric->id + 0.25 * a->device->index;
    else if (a->instance >= 0) metric->code = NOT_SUPPORTED;
    else metric->value = 1000.0 * metric->id;
  }
  return OK;
}
#endif

struct licensable { int supported; u32 count; char features[852]; };
_Static_assert(sizeof(struct licensable) == 860, "nvmlGridLicensableFeatures_t");
API int nvmlDeviceGetGridLicensableFeatures_v4(Device d, struct licensable *out) {
  WHOLE(d);
  memset(out, 0, sizeof *out);
  return OK;
}
