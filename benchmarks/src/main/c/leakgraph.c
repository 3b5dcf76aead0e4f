/*
 * The graph of `bench leak` for a scanner of C programs: LeakSanitizer, or, with -DBOEHM, Boehm's
 * collector. Arguments: objects, bytes of one, pointers per 1000 words or "chain", rounds,
 * nanoseconds in which they may begin. Prints METRIC=VALUE lines. The table of objects is in a mapping that neither of them scans.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#ifdef BOEHM
#include <gc.h>
#else
#include <sanitizer/lsan_interface.h>
#endif

void **volatile roots;

static uint64_t state = 1;

static uint64_t next_random(void)
{
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint32_t below(uint32_t bound)
{
    return (uint32_t)(((next_random() >> 32) * bound) >> 32);
}

static void *map(size_t nr_bytes)
{
    void *p = mmap(NULL, nr_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return p;
}

static void *allocate(size_t nr_bytes)
{
#ifdef BOEHM
    return GC_MALLOC(nr_bytes);
#else
    return calloc(1, nr_bytes);
#endif
}

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void scan(void)
{
#ifdef BOEHM
    GC_gcollect();
#else
    __lsan_do_recoverable_leak_check();
#endif
}

/* Builds the graph; returns how many objects the roots reach. */
static uint32_t build(uint32_t nr, uint32_t words, const char *kind)
{
    void **table = map(nr * sizeof(void *));
    uint32_t *edges = map((size_t)nr * words * sizeof(uint32_t)); /* target + 1 */
    uint32_t *queue = map(nr * sizeof(uint32_t));
    char *seen = map(nr);
    int is_chain = strcmp(kind, "chain") == 0;
    uint32_t per_1000 = is_chain ? 0 : (uint32_t)atoi(kind);
    uint32_t nr_roots = is_chain ? 1 : nr / 10 + 1;
    uint32_t nr_queued = 0;

    for (uint32_t i = 0; i < nr; i++)
        table[i] = allocate(words * sizeof(uint64_t));
    if (is_chain) {
        for (uint32_t i = 0; i < nr; i++)
            queue[i] = i;
        for (uint32_t i = nr - 1; i > 0; i--) {
            uint32_t j = below(i + 1), t = queue[i];
            queue[i] = queue[j];
            queue[j] = t;
        }
        for (uint32_t i = 0; i + 1 < nr; i++) {
            *(void **)table[queue[i]] = table[queue[i + 1]];
            edges[(size_t)queue[i] * words] = queue[i + 1] + 1;
        }
    } else {
        for (uint32_t i = 0; i < nr; i++)
            for (uint32_t w = 0; w < words; w++) {
                int is_pointer = below(1000) < per_1000;
                uint32_t value = below(nr);
                if (is_pointer) {
                    ((void **)table[i])[w] = table[value];
                    edges[(size_t)i * words + w] = value + 1;
                } else {
                    ((uint64_t *)table[i])[w] = value;
                }
            }
    }
    uint32_t first = queue[0];
    roots = allocate(nr_roots * sizeof(void *));
    for (uint32_t i = 0, n = nr_roots; i < n; i++) {
        uint32_t at = is_chain ? first : below(nr);
        roots[i] = table[at];
        if (!seen[at]) {
            seen[at] = 1;
            queue[nr_queued++] = at;
        }
    }
    for (uint32_t i = 0; i < nr_queued; i++)
        for (uint32_t w = 0; w < words; w++) {
            uint32_t to = edges[(size_t)queue[i] * words + w];
            if (to != 0 && !seen[to - 1]) {
                seen[to - 1] = 1;
                queue[nr_queued++] = to - 1;
            }
        }
    munmap(edges, (size_t)nr * words * sizeof(uint32_t));
    munmap(table, nr * sizeof(void *));
    munmap(queue, nr * sizeof(uint32_t));
    munmap(seen, nr);
    return nr_queued;
}

int main(int argc, char **argv)
{
    if (argc != 6)
        return 2;
    uint32_t nr = (uint32_t)atol(argv[1]);
    uint32_t nr_bytes = (uint32_t)atol(argv[2]);
#ifdef BOEHM
    GC_INIT();
    GC_disable(); /* the graph is unreachable while it is built */
#endif
    uint32_t nr_reached = build(nr, nr_bytes / sizeof(uint64_t), argv[3]);
#ifdef BOEHM
    GC_enable();
#endif
    scan(); /* the first one also pays for what it sets up */
    uint64_t best = UINT64_MAX, first = now(), budget = (uint64_t)atoll(argv[5]);
    for (int round = atoi(argv[4]); round > 0 && (best == UINT64_MAX || now() - first < budget); round--) {
        uint64_t start = now();
        scan();
        uint64_t nanos = now() - start;
        if (nanos < best)
            best = nanos;
    }
    printf("mark=%f\n", best / 1e6);
    printf("objects=%f\n", nr_reached * 1e3 / (double)best);
    printf("bytes=%f\n", (double)nr_reached * nr_bytes / (double)best);
    fflush(stdout);
    _exit(0);
}
