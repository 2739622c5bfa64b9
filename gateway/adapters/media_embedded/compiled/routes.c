/* Which session an address is heard for: reports, feedback and media are taken where they come in. */
#include <stdlib.h>
#include <string.h>

#include "packets.h"

#define FEWEST_ROUTES 256
#define MOST_ROUTES 32768
#define FREE (-1)

struct route {
    uint8_t address[MAX_ADDRESS];
    int32_t session, counted; /* whether it tells of what is sent to it: transport-wide feedback was agreed */
    uint32_t deferred; /* the last slice in which somebody else had to see something from here */
};

static struct {
    struct route *routes; /* open addressing, never more than half full */
    int size, count;
    uint32_t slice;
} table;

/* FNV-1a, 64 bits. */
static uint32_t hash_of(const uint8_t *address)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (int place = 0; place < MAX_ADDRESS; place++)
        hash = (hash ^ address[place]) * 0x100000001b3u;
    return (uint32_t)(hash ^ hash >> 32);
}

/* Return the route of an address, or the free place where it would stand; NULL in an empty table. */
static struct route *find(const uint8_t *address)
{
    if (table.size == 0)
        return NULL;
    uint32_t place = hash_of(address) & (uint32_t)(table.size - 1);
    while (table.routes[place].session != FREE && memcmp(table.routes[place].address, address, MAX_ADDRESS) != 0)
        place = (place + 1) & (uint32_t)(table.size - 1);
    return &table.routes[place];
}

static int resize(int size)
{
    struct route *old = table.routes, *made = malloc((size_t)size * sizeof *made);
    int before = table.size;
    if (made == NULL)
        return 0;
    for (int place = 0; place < size; place++)
        made[place].session = FREE;
    table.routes = made;
    table.size = size;
    for (int place = 0; place < before; place++)
        if (old[place].session != FREE)
            *find(old[place].address) = old[place];
    free(old);
    return 1;
}

/* Hear a session by an address from now on; 0 where there is no room: then everything goes the long way. */
int packets_route(int number, const uint8_t *address, int counted)
{
    if (session_of(number) == NULL)
        return 0;
    if (table.count * 2 >= table.size && (table.size == MOST_ROUTES || !resize(table.size ? table.size * 2 : FEWEST_ROUTES)))
        return 0;
    struct route *route = find(address);
    table.count += route->session == FREE;
    memcpy(route->address, address, MAX_ADDRESS);
    route->session = number;
    route->counted = counted;
    route->deferred = table.slice - 1;
    return 1;
}

/* Hear this session by that address no longer; 0 where it was not heard by it. */
int packets_unroute(int number, const uint8_t *address)
{
    struct route *route = find(address);
    if (route == NULL || route->session == FREE || route->session != number)
        return 0;
    int hole = (int)(route - table.routes), mask = table.size - 1;
    for (int next = (hole + 1) & mask; table.routes[next].session != FREE; next = (next + 1) & mask) {
        int home = (int)(hash_of(table.routes[next].address) & (uint32_t)mask);
        if (((next - home) & mask) >= ((next - hole) & mask)) { /* it was pushed on from here or before */
            table.routes[hole] = table.routes[next];
            hole = next;
        }
    }
    table.routes[hole].session = FREE;
    table.count--;
    return 1;
}

void route_began(void)
{
    table.slice++;
}

int route_took(const uint8_t *address, const uint8_t *data, int length, double now)
{
    if (length < 12 || data[0] < 128 || data[0] > 191 || data[1] < 192 || data[1] > 223) /* RFC 7983, RFC 5761 */
        return 0;
    struct route *route = find(address);
    if (route == NULL || route->session == FREE || !route->counted)
        return 0;
    if (route->deferred != table.slice && flight_heard(route->session, data, length, now)) {
        struct heard *heard = heard_of(route->session);
        heard->packets++;
        heard->octets += length;
        return 1;
    }
    route->deferred = table.slice; /* what follows in this slice stays behind it */
    return 0;
}

struct session *route_leads(const uint8_t *address)
{
    struct route *route = find(address);
    return route == NULL || route->session == FREE ? NULL : session_of(route->session);
}

int route_reads(const uint8_t *address, const uint8_t *data, int length)
{
    if (length < HEADER || data[0] < 128 || data[0] > 191 || (data[1] >= 192 && data[1] <= 223))
        return FREE;
    struct route *route = find(address);
    return route == NULL ? FREE : route->session;
}

/* Return what was taken since the last call, and forget it. 0 for a session that does not exist. */
int packets_heard(int number, struct heard *found)
{
    struct heard *heard = heard_of(number);
    *found = heard == NULL ? (struct heard){0} : *heard;
    if (heard != NULL)
        *heard = (struct heard){0};
    return heard != NULL;
}
