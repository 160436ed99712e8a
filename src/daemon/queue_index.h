/* queue_index.h - what the queue process remembers of each message: small, by id. */
#ifndef EXIM_QUEUE_INDEX_H
#define EXIM_QUEUE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/tod.h"

struct arena;
struct queue_index;

enum queue_state { QUEUE_RESTS, QUEUE_WAITS, QUEUE_RUNS };
struct queue_entry {
    char id[MSGID_LEN + 1];
    uint8_t state;    /* enum queue_state */
    bool frozen;      /* as the last delivery reported */
    bool in_run;      /* handed out by a queue run */
    bool changed;     /* while it was handed out: what is reported is out of date */
    bool rest;        /* somebody wants its files */
    bool rested;      /* it was handed out for that */
    bool local;       /* its remote addresses wait for a queue run */
    bool again;       /* while it was handed out: deliver it once more */
    uint8_t rest_tries; /* of a stopping daemon */
    uint8_t locked;   /* how often it was found locked in a row */
    uint32_t seen;    /* the scan that found it last */
    uint64_t place;   /* in the log of the spool; 0: it has files */
    time_t due;       /* not before; 0: not known, any time */
    int64_t since_ms; /* waits since */
    struct queue_entry *next; /* in the list of those that wait, or of free ones */
};

struct queue_index *queue_index_new(struct arena *a);
size_t queue_index_count(const struct queue_index *x);
struct queue_entry *queue_index_find(const struct queue_index *x, const char *id); /* NULL: not there */
struct queue_entry *queue_index_add(struct queue_index *x, const char *id);        /* found or made */
void queue_index_remove(struct queue_index *x, struct queue_entry *e); /* e is not used any more */
/* Every entry in some order; start with *at = 0; NULL at the end. The current one may be removed. */
struct queue_entry *queue_index_next(const struct queue_index *x, size_t *at);

#endif
