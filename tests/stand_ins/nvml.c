// A stand-in for NVIDIA's libnvidia-ml.so.1, for hosts without a card: it tells what stands in a file, which tests/stand_ins/gpu.py writes.
// Only what the watcher asks for (nvml.h of CUDA 13). The file, /run/stand-in-gpu/cards, has a line for each card:
//     UUID NAME TOTAL USED PID BYTES        (bytes; PID 0 for no process)
// /run/stand-in-gpu/xid holds "UUID NUMBER" for an event that is told once. /run/stand-in-gpu/wedged holds the number of a recovery action: while it is there,
// the cards require a reset. Without the file of cards, no function works: the driver is gone.
//     gcc -shared -fPIC -o libnvidia-ml.so.1 nvml.c
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, NOT_FOUND = 6, TIMEOUT = 10, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15, RESET_REQUIRED = 16, MOST = 8 };
struct card { char uuid[96], name[96]; unsigned long long total, used, bytes; unsigned pid; };
struct memory { unsigned long long total, free, used; };
struct process { unsigned pid; unsigned long long bytes; unsigned gpu_instance, compute_instance; };
struct pci { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; };
struct field { unsigned id, scope; long long time, latency; int type, result; union { unsigned number; unsigned long long room; } value; };
struct event { void *device; unsigned long long type, data; unsigned gpu_instance, compute_instance; };
static struct card cards[MOST];
static char names[MOST][96]; // a handle is the UUID that stood there when it was asked for
static const char *folder = "/run/stand-in-gpu/";

static int look(void) {
    char path[128];
    snprintf(path, sizeof path, "%scards", folder);
    FILE *stream = fopen(path, "r");
    if (!stream) return -1;
    int count = 0;
    while (count < MOST && fscanf(stream, "%95s %95s %llu %llu %u %llu", cards[count].uuid, cards[count].name, &cards[count].total, &cards[count].used,
                                  &cards[count].pid, &cards[count].bytes) == 6) count++;
    fclose(stream);
    return count;
}

static struct card *find(void *handle) {
    int count = look();
    for (int index = 0; index < count; index++) if (!strcmp(cards[index].uuid, handle)) return &cards[index];
    return NULL;
}

static int wedged(void) { // number of the recovery action, 0 where the card is well
    char path[128];
    int action = 0;
    snprintf(path, sizeof path, "%swedged", folder);
    FILE *stream = fopen(path, "r");
    if (stream) {
        if (fscanf(stream, "%d", &action) != 1) action = 1;
        fclose(stream);
    }
    return action;
}

int nvmlInit_v2(void) { return look() < 0 ? DRIVER_NOT_LOADED : SUCCESS; }
int nvmlInitWithFlags(unsigned flags) { (void)flags; return nvmlInit_v2(); }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int error) { return error == DRIVER_NOT_LOADED ? "Driver Not Loaded (stand-in)" : error == GPU_IS_LOST ? "GPU is lost (stand-in)" : "error (stand-in)"; }
int nvmlDeviceGetCount_v2(unsigned *count) { int found = look(); *count = found < 0 ? 0 : found; return found < 0 ? DRIVER_NOT_LOADED : SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    if ((int)index >= look()) return NOT_FOUND;
    strcpy(names[index], cards[index].uuid);
    *handle = names[index];
    return SUCCESS;
}

int nvmlDeviceGetUUID(void *handle, char *text, unsigned length) { snprintf(text, length, "%s", (char *)handle); return SUCCESS; }

int nvmlDeviceGetName(void *handle, char *text, unsigned length) {
    struct card *card = find(handle);
    if (card) snprintf(text, length, "%s", card->name);
    return card ? SUCCESS : GPU_IS_LOST;
}

int nvmlDeviceGetMemoryInfo(void *handle, struct memory *memory) {
    struct card *card = find(handle);
    if (card && wedged()) return RESET_REQUIRED;
    if (card) *memory = (struct memory){card->total, card->total - card->used, card->used};
    return card ? SUCCESS : GPU_IS_LOST;
}

int nvmlDeviceGetPciInfo_v3(void *handle, struct pci *pci) {
    if (!find(handle)) return GPU_IS_LOST;
    *pci = (struct pci){"0000:01:00.0", 0, 1, 0, 0x2bb110de, 0, "00000000:01:00.0"};
    return SUCCESS;
}

int nvmlDeviceGetFieldValues(void *handle, int count, struct field *fields) { // it is asked for the recovery action alone
    if (!find(handle)) return GPU_IS_LOST;
    for (int index = 0; index < count; index++) fields[index].result = SUCCESS, fields[index].type = 1, fields[index].value.number = wedged();
    return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, struct process *processes) {
    struct card *card = find(handle);
    if (!card) return GPU_IS_LOST;
    unsigned room = *count, found = card->pid ? 1 : 0;
    *count = found;
    if (found > room) return 7; // insufficient size
    if (found) processes[0] = (struct process){card->pid, card->bytes, ~0u, ~0u};
    return SUCCESS;
}

int nvmlEventSetCreate(void **set) { *set = names; return SUCCESS; }
int nvmlEventSetFree(void *set) { (void)set; return SUCCESS; }
int nvmlDeviceRegisterEvents(void *handle, unsigned long long types, void *set) { (void)handle; (void)types; (void)set; return SUCCESS; }

int nvmlEventSetWait_v2(void *set, struct event *event, unsigned milliseconds) {
    (void)set; (void)milliseconds;
    static char uuid[96];
    char path[128];
    snprintf(path, sizeof path, "%sxid", folder);
    FILE *stream = fopen(path, "r");
    if (!stream) return TIMEOUT;
    unsigned long long number = 0;
    int read = fscanf(stream, "%95s %llu", uuid, &number);
    fclose(stream);
    unlink(path);
    if (read != 2) return TIMEOUT;
    *event = (struct event){uuid, 8, number, 0, 0};
    return SUCCESS;
}
