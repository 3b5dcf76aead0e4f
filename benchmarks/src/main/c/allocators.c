/*
 * The cases of `bench peers` for an allocator of C, which this is linked with. Arguments: the
 * allocator's name, cases with commas between, rounds at most, milliseconds of warming up the first
 * case, the others, and of measuring one, objects at most, batches at most, the folder of traces.
 * Prints CASE:METRIC=VALUE lines. The loops are those of PeersFork, AddressWorker and PeersHandoff.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_ROUNDS 4096
#define MIN_ROUNDS 3
#define MAX_PAIRS 500000
#define NR_CHURNED 100000
#define WINDOW 10000
#define BATCH 256
#define NR_IN_FLIGHT 128
#define SPINS_BEFORE_YIELD 2000
#define MAX_HELD_BYTES (256u << 20)
#define NR_WARM 20000

/* Each library has a function that the others have not: which of them is really there? */
extern int mallctl(const char *, void *, size_t *, void *, size_t) __attribute__((weak));
extern int mi_version(void) __attribute__((weak));
extern const char *tc_version(int *, int *, const char **) __attribute__((weak));

/* Where pointers go, so that no compiler can know that nobody looks at the objects. */
static void *volatile sink;

static int max_rounds, first_ms, next_ms, measure_ms, max_objects, max_batches;
static int is_first = 1;
static const char *trace_folder;

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "allocators: %s\n", what);
    exit(1);
}

static void *checked(void *p)
{
    if (!p)
        fail("no memory");
    return p;
}

/* What the program itself needs: from the allocator under test too, but touched before anything is measured. */
static void *own(size_t nr, size_t bytes)
{
    void *p = checked(calloc(nr, bytes));
    memset(p, 0, nr * bytes);
    return p;
}

struct rounds {
    uint64_t start, measured_since;
    uint64_t warmup, measure;
    int nr_warmup, nr_measured;
    double times[3][MAX_ROUNDS];
};

static void begin(struct rounds *r)
{
    memset(r, 0, sizeof *r);
    r->warmup = (uint64_t)(is_first ? first_ms : next_ms) * 1000000u;
    r->measure = (uint64_t)measure_ms * 1000000u;
    r->start = now();
    is_first = 0;
}

static int next(struct rounds *r)
{
    uint64_t t = now();
    if (r->nr_measured == 0 && (r->nr_warmup == 0 || t - r->start < r->warmup)) {
        r->nr_warmup++;
        return 1;
    }
    if (r->nr_measured == 0)
        r->measured_since = t;
    else if (r->nr_measured >= max_rounds || r->nr_measured >= MAX_ROUNDS
             || (r->nr_measured >= MIN_ROUNDS && t - r->measured_since >= r->measure))
        return 0;
    r->nr_measured++;
    return 1;
}

static void add(struct rounds *r, int metric, uint64_t nanos, double nr_objects)
{
    if (r->nr_measured > 0)
        r->times[metric][r->nr_measured - 1] = (double)nanos / nr_objects;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(struct rounds *r, const char *name, int metric, const char *metric_name)
{
    int n = r->nr_measured;
    double *times = r->times[metric];
    qsort(times, (size_t)n, sizeof *times, ascending);
    double median = n % 2 ? times[n / 2] : (times[n / 2 - 1] + times[n / 2]) / 2;
    printf("%s:%s=%.4f\n", name, metric_name, median);
}

static void fill(void **batch, int n, size_t size)
{
    for (int i = 0; i < n; i++)
        batch[i] = malloc(size);
}

static void free_all(void **batch, int n)
{
    for (int i = 0; i < n; i++) {
        if (batch[i])
            free(batch[i]);
    }
    memset(batch, 0, (size_t)n * sizeof *batch);
}

static void touch(void **batch, int n)
{
    for (int i = 0; i < n; i++)
        *(volatile char *)checked(batch[i]) = 1;
}

static void write_ends(void *p, size_t size)
{
    ((volatile char *)p)[0] = 1;
    ((volatile char *)p)[size - 1] = 1;
}

static void pairs(struct rounds *r, const char *name, size_t size)
{
    int count = max_objects < MAX_PAIRS ? max_objects : MAX_PAIRS;
    begin(r);
    while (next(r)) {
        uint64_t start = now();
        for (int i = 0; i < count; i++) {
            void *p = malloc(size);
            sink = p;
            free(p);
        }
        add(r, 0, now() - start, count);
    }
    print(r, name, 0, "pair");
}

static int nr_held(size_t size)
{
    size_t most = MAX_HELD_BYTES / size;
    return most < (size_t)max_objects ? (int)most : max_objects;
}

static void held(struct rounds *r, const char *name, size_t size)
{
    int n = nr_held(size);
    void **batch = own((size_t)n, sizeof *batch);
    begin(r);
    while (next(r)) {
        uint64_t start = now();
        fill(batch, n, size);
        uint64_t filled = now();
        touch(batch, n);
        uint64_t touched = now();
        free_all(batch, n);
        uint64_t end = now();
        add(r, 0, filled - start, n);
        add(r, 1, touched - filled, n);
        add(r, 2, end - touched, n);
    }
    free(batch);
    print(r, name, 0, "alloc");
    print(r, name, 1, "write");
    print(r, name, 2, "free");
}

static uint64_t state = 42;

static uint32_t below(uint32_t bound)
{
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (uint32_t)(((z >> 32) * bound) >> 32);
}

static void random_sizes(struct rounds *r, const char *name)
{
    int n = max_objects < NR_CHURNED ? max_objects : NR_CHURNED;
    int window = max_objects < WINDOW ? max_objects : WINDOW;
    int *places = own((size_t)n, sizeof *places);
    int *sizes = own((size_t)n, sizeof *sizes);
    void **batch = own((size_t)window, sizeof *batch);
    for (int i = 0; i < n; i++) {
        places[i] = (int)below((uint32_t)window);
        sizes[i] = 1 + (int)below(16u << below(9));
    }
    begin(r);
    while (next(r)) {
        uint64_t start = now();
        for (int i = 0; i < n; i++) {
            void **place = &batch[places[i]];
            if (*place)
                free(*place);
            *place = malloc((size_t)sizes[i]);
            write_ends(*place, (size_t)sizes[i]);
        }
        add(r, 0, now() - start, n);
    }
    free_all(batch, window);
    print(r, name, 0, "replace");
}

struct queue {
    _Alignas(64) _Atomic(void **) places[NR_IN_FLIGHT];
    _Alignas(64) int head;
    _Alignas(64) int tail;
};

static void await(int spins)
{
    if (spins < SPINS_BEFORE_YIELD) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
    } else {
        sched_yield();
    }
}

static void put(struct queue *q, void **item)
{
    for (int spins = 0; atomic_load_explicit(&q->places[q->tail], memory_order_acquire); spins++)
        await(spins);
    atomic_store_explicit(&q->places[q->tail], item, memory_order_release);
    q->tail = (q->tail + 1) % NR_IN_FLIGHT;
}

static void **take(struct queue *q)
{
    void **item;
    for (int spins = 0;
         !(item = atomic_load_explicit(&q->places[q->head], memory_order_acquire)); spins++)
        await(spins);
    atomic_store_explicit(&q->places[q->head], NULL, memory_order_release);
    q->head = (q->head + 1) % NR_IN_FLIGHT;
    return item;
}

static struct queue full_batches, empty_batches;

static void *consume(void *nr_batches)
{
    for (intptr_t i = 0; i < (intptr_t)nr_batches; i++) {
        void **batch = take(&full_batches);
        free_all(batch, BATCH);
        put(&empty_batches, batch);
    }
    return NULL;
}

static void handoff(struct rounds *r, const char *name, size_t size)
{
    void **batches[NR_IN_FLIGHT];
    for (int i = 0; i < NR_IN_FLIGHT; i++)
        batches[i] = own(BATCH, sizeof **batches);
    begin(r);
    while (next(r)) {
        memset(&full_batches, 0, sizeof full_batches);
        memset(&empty_batches, 0, sizeof empty_batches);
        for (int i = 0; i < NR_IN_FLIGHT; i++)
            put(&empty_batches, batches[i]);
        uint64_t start = now();
        pthread_t consumer;
        if (pthread_create(&consumer, NULL, consume, (void *)(intptr_t)max_batches))
            fail("no thread");
        for (int i = 0; i < max_batches; i++) {
            void **batch = take(&empty_batches);
            fill(batch, BATCH, size);
            put(&full_batches, batch);
        }
        pthread_join(consumer, NULL);
        add(r, 0, now() - start, (double)max_batches * BATCH);
    }
    for (int i = 0; i < NR_IN_FLIGHT; i++)
        free(batches[i]);
    print(r, name, 0, "handoff");
}

/* A trace: number of events, of ids, the words of Trace, the sizes; in the machine's byte order. */
static void replay(struct rounds *r, const char *name, const char *trace)
{
    char path[4096];
    int32_t head[2];
    snprintf(path, sizeof path, "%s/%s", trace_folder, trace);
    FILE *file = fopen(path, "rb");
    if (!file || fread(head, sizeof head, 1, file) != 1)
        fail("no trace");
    size_t n = (size_t)head[0];
    uint32_t *words = own(n, sizeof *words);
    int64_t *sizes = own(n, sizeof *sizes);
    if (fread(words, sizeof *words, n, file) != n || fread(sizes, sizeof *sizes, n, file) != n)
        fail("short trace");
    fclose(file);
    void **live = own((size_t)head[1], sizeof *live);
    begin(r);
    while (next(r)) {
        uint64_t start = now();
        for (size_t i = 0; i < n; i++) {
            uint32_t word = words[i];
            void **place = &live[word >> 8];
            size_t size = (size_t)sizes[i];
            switch (word & 7) {
            case 0:
                *place = malloc(size);
                break;
            case 1:
                *place = calloc(1, size);
                break;
            case 2:
                *place = aligned_alloc((size_t)1 << ((word >> 3) & 31), size);
                break;
            case 3:
                *place = realloc(*place, size);
                break;
            default:
                free(*place);
                *place = NULL;
                continue;
            }
            if (size)
                write_ends(*place, size);
        }
        add(r, 0, now() - start, (double)n);
        free_all(live, head[1]);
    }
    free(live);
    free(words);
    free(sizes);
    print(r, name, 0, "event");
}

static double resident_bytes(void)
{
    char line[256];
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    long long kib = -1;
    while (file && kib < 0 && fgets(line, sizeof line, file))
        sscanf(line, "Anonymous: %lld", &kib);
    if (kib < 0)
        fail("no Anonymous in /proc/self/smaps_rollup");
    fclose(file);
    return (double)kib * 1024;
}

static void memory(const char *name, size_t size)
{
    int n = nr_held(size);
    void **warm = own(NR_WARM, sizeof *warm);
    void **batch = own((size_t)n, sizeof *batch);
    fill(warm, NR_WARM, size);
    touch(warm, NR_WARM);
    resident_bytes();
    double before = resident_bytes();
    fill(batch, n, size);
    touch(batch, n);
    double after = resident_bytes();
    printf("%s:memory=%.4f\n", name, (after - before) / ((double)n * (double)size));
    free_all(batch, n);
    free_all(warm, NR_WARM);
}

static int is_linked_with(const char *allocator)
{
    int jemalloc = mallctl != NULL, mimalloc = mi_version != NULL, tcmalloc = tc_version != NULL;
    if (!strcmp(allocator, "jemalloc"))
        return jemalloc;
    if (!strcmp(allocator, "mimalloc"))
        return mimalloc;
    if (!strcmp(allocator, "tcmalloc"))
        return tcmalloc;
    return !jemalloc && !mimalloc && !tcmalloc;
}

int main(int argc, char **argv)
{
    static struct rounds rounds;
    if (argc != 10)
        fail("wrong number of arguments");
    if (!is_linked_with(argv[1]))
        fail("linked with another allocator");
    max_rounds = atoi(argv[3]);
    first_ms = atoi(argv[4]);
    next_ms = atoi(argv[5]);
    measure_ms = atoi(argv[6]);
    max_objects = atoi(argv[7]);
    max_batches = atoi(argv[8]);
    trace_folder = argv[9];
    for (char *name = strtok(argv[2], ","); name; name = strtok(NULL, ",")) {
        char *variant = strchr(name, '/');
        if (!variant)
            fail("bad case");
        size_t size = (size_t)atoi(++variant);
        if (!strncmp(name, "pairs/", 6))
            pairs(&rounds, name, size);
        else if (!strncmp(name, "held/", 5))
            held(&rounds, name, size);
        else if (!strncmp(name, "random/", 7))
            random_sizes(&rounds, name);
        else if (!strncmp(name, "handoff/", 8))
            handoff(&rounds, name, size);
        else if (!strncmp(name, "replay/", 7))
            replay(&rounds, name, variant);
        else if (!strncmp(name, "memory/", 7))
            memory(name, size);
        else
            fail("unknown case");
    }
    return 0;
}
