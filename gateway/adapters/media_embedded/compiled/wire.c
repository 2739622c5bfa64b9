/* Many datagrams with one system call: what came in, and what legs planned to send, encrypted on the way out. */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "packets.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103 /* linux/udp.h */
#endif

#define AROUND 28 /* bytes of IPv4 and UDP */
#define MAX_PLAIN 1356
#define MAX_GROUP 10
#define MAX_MESSAGES 64
#define MAX_ARRIVALS 256
#define OUT_SIZE (256 * 1024)

/* -- receiving ------------------------------------------------------------------------------------------------------- */

struct stamp { /* when the kernel had a datagram, by the clock of the calendar */
    union {
        struct cmsghdr head;
        uint8_t bytes[CMSG_SPACE(sizeof(struct timespec))];
    };
};

static struct { /* one slice of a socket */
    struct mmsghdr messages[MAX_ARRIVALS];
    struct iovec parts[MAX_ARRIVALS];
    struct stamp stamps[MAX_ARRIVALS];
    double shown; /* what the clock of the calendar showed when it was read */
    int32_t owners[MAX_ARRIVALS]; /* whose media it is; NOBODYS stays for Python, DONE needs nobody */
} slice;

#define NOBODYS (-1)
#define DONE (-2)
#define LONGEST_WAIT_S 10.0 /* who seems to have waited longer saw the clock of the calendar set */
#define TICK_S 0.00025      /* as transport-wide feedback counts */

static double seconds(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

/* Return what the clock of the calendar showed at `now`, a moment ago by the worker's clock. */
static double calendar(double now)
{
    double since = seconds(CLOCK_BOOTTIME) - now, shown = seconds(CLOCK_REALTIME);
    return 0 < since && since < LONGEST_WAIT_S ? shown - since : shown;
}

/* Return how many seconds a datagram of the slice had waited; 0 where the kernel does not say. */
static double waited_of(int place)
{
    struct msghdr *message = &slice.messages[place].msg_hdr;
    struct cmsghdr *head = CMSG_FIRSTHDR(message);
    if (head == NULL || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_TIMESTAMPNS)
        return 0;
    struct timespec at;
    memcpy(&at, CMSG_DATA(head), sizeof at);
    double waited = slice.shown - ((double)at.tv_sec + (double)at.tv_nsec * 1e-9);
    return 0 < waited && waited < LONGEST_WAIT_S ? waited : 0;
}

static int fill_slice(int socket, uint8_t *buffer, struct arrival *arrivals, int most, double now)
{
    for (int place = 0; place < most; place++) {
        slice.parts[place] = (struct iovec){buffer + (size_t)place * LONGEST, LONGEST};
        memset(&arrivals[place], 0, sizeof arrivals[place]);
        slice.messages[place].msg_hdr = (struct msghdr){.msg_name = arrivals[place].address, .msg_namelen = MAX_ADDRESS,
                                                        .msg_iov = &slice.parts[place], .msg_iovlen = 1,
                                                        .msg_control = &slice.stamps[place],
                                                        .msg_controllen = sizeof slice.stamps[place]};
    }
    slice.shown = calendar(now);
    return recvmmsg(socket, slice.messages, (unsigned)most, MSG_DONTWAIT, NULL);
}

/* Where media of a slice is read to: payloads as they came, and those of rows one after the other. */
struct media {
    uint8_t *plain, *payloads;
    struct packet *packets;
    struct row *rows;
    struct reading *readings;
    double now;
    int32_t used; /* bytes of `payloads`; no more than the datagrams have */
};

/* Read what one peer sent of the datagrams from `begin` up to `end`, in their order; returns how many packets. */
static int read_peer(int begin, int end, const uint8_t *buffer, struct media *media, struct reading *reading)
{
    int32_t owner = slice.owners[begin];
    struct session *session = session_of(owner);
    double first = waited_of(begin);
    reading->came = media->now - first;
    for (int place = begin; place < end; place++) {
        if (slice.owners[place] != owner)
            continue;
        size_t at = (size_t)place * LONGEST;
        int length = (int)slice.messages[place].msg_len;
        struct packet *packet = &media->packets[reading->first + reading->count++];
        read_packet(owner, buffer + at, length, media->plain + at, packet);
        packet->payload_at = (uint32_t)at;
        packet->block_at += (uint32_t)at;
        double later = (first - waited_of(place)) / TICK_S;
        packet->later = later < 1 ? 0 : (uint16_t)later;
        reading->apart |= packet->later > 0;
        reading->octets += length;
        reading->marked |= buffer[at + 1] > 127;
        slice.owners[place] = DONE;
    }
    reading->at = media->used;
    if (session != NULL)
        lane_reads(session, media->packets + reading->first, buffer, media->plain, media->rows + reading->first,
                   media->payloads + reading->at, reading);
    media->used += reading->size;
    return reading->count;
}

/* Read all media of a slice, peer by peer; returns of how many peers it is. */
static int read_media(int count, const uint8_t *buffer, const struct arrival *arrivals, struct media *media)
{
    int peers = 0, read = 0;
    for (int place = 0; place < count; place++) {
        if (slice.owners[place] < 0)
            continue;
        struct reading *reading = &media->readings[peers++];
        *reading = (struct reading){.first = read, .address_length = (uint16_t)slice.messages[place].msg_hdr.msg_namelen};
        memcpy(reading->address, arrivals[place].address, MAX_ADDRESS);
        read += read_peer(place, count, buffer, media, reading);
    }
    return peers;
}

/* Move what is left for Python to the beginning; returns how many. */
static int gather_left(int count, struct arrival *arrivals)
{
    int left = 0;
    for (int place = 0; place < count; place++) {
        if (slice.owners[place] != NOBODYS)
            continue;
        struct arrival *next = &arrivals[left++];
        if (next != &arrivals[place])
            memcpy(next->address, arrivals[place].address, MAX_ADDRESS);
        next->length = (uint16_t)slice.messages[place].msg_len;
        next->address_length = (uint16_t)slice.messages[place].msg_hdr.msg_namelen;
        next->place = (uint32_t)place;
    }
    return left;
}

/* Take a datagram that needs nobody else. */
static int is_done(int socket, int place, const uint8_t *address, const uint8_t *data, double now, int32_t *failed)
{
    int length = (int)slice.messages[place].msg_len;
    struct session *session = length && data[0] < 4 ? route_leads(address) : NULL; /* RFC 7983 */
    if (session != NULL)
        return consent_took(session, socket, address, slice.messages[place].msg_hdr.msg_namelen, data, length, now, failed);
    return route_took(address, data, length, now);
}

/*
 * Take what waits at a socket, `most` datagrams at most, each into its own LONGEST bytes of `buffer`. Returns how many
 * there were, or the negative errno. `found[0]` of them are in `arrivals`. Media of known peers is read where `out`, as
 * large as `buffer`, is given: of `found[1]` peers, whose `packets` follow each other. Where they are `rows` too, their
 * payloads are in `payloads`, which is as large. The others were reports, feedback and consent checks, and are done:
 * `found[2]` answers found the buffer full, `found[3]` could not be sent.
 */
int packets_receive(int socket, uint8_t *buffer, size_t buffer_size, struct arrival *arrivals, int most, double now,
                    uint8_t *out, struct packet *packets, struct row *rows, uint8_t *payloads,
                    struct reading *readings, int32_t *found)
{
    memset(found, 0, 4 * sizeof *found);
    if (most < 0 || most > MAX_ARRIVALS || (size_t)most * LONGEST > buffer_size)
        return -EINVAL;
    int count = fill_slice(socket, buffer, arrivals, most, now);
    if (count < 0)
        return -errno;
    route_began();
    for (int place = 0; place < count; place++) {
        int length = (int)slice.messages[place].msg_len;
        const uint8_t *data = buffer + (size_t)place * LONGEST, *address = arrivals[place].address;
        if (is_done(socket, place, address, data, now, found + 2))
            slice.owners[place] = DONE;
        else
            slice.owners[place] = out == NULL ? NOBODYS : route_reads(address, data, length);
    }
    if (out != NULL)
        found[1] = read_media(count, buffer, arrivals, &(struct media){out, payloads, packets, rows, readings, now, 0});
    found[0] = gather_left(count, arrivals);
    return count;
}

/* -- sending --------------------------------------------------------------------------------------------------------- */

struct control {
    union {
        struct cmsghdr head;
        uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
    };
};

static struct {
    uint8_t bytes[OUT_SIZE];
    struct mmsghdr messages[MAX_MESSAGES];
    struct iovec parts[MAX_MESSAGES];
    struct control controls[MAX_MESSAGES];
    int segments[MAX_MESSAGES], sizes[MAX_MESSAGES];
    size_t used;
    int count;
} tray;

static void count_failure(struct outcome *outcome, int error, int packets)
{
    if (error == EAGAIN || error == EWOULDBLOCK)
        outcome->full += packets;
    else
        outcome->unsent += packets;
}

static void send_singly(int socket, int place, struct outcome *outcome)
{
    struct msghdr head = tray.messages[place].msg_hdr;
    struct iovec whole = tray.parts[place], part = whole;
    size_t size = (size_t)tray.sizes[place];
    head.msg_control = NULL;
    head.msg_controllen = 0;
    head.msg_iov = &part;
    for (size_t at = 0; at < whole.iov_len; at += size) {
        part.iov_base = (uint8_t *)whole.iov_base + at;
        part.iov_len = whole.iov_len - at < size ? whole.iov_len - at : size;
        if (sendmsg(socket, &head, 0) < 0)
            count_failure(outcome, errno, 1);
    }
}

/* A message was refused: send its packets singly where segmenting was the reason, else count them. */
static void refused(int socket, int place, int error, struct outcome *outcome)
{
    int packets = tray.segments[place];
    if (packets > 1 && (error == EINVAL || error == EIO)) {
        outcome->segmenting = 0; /* for good: what the kernel cannot do now it cannot do later */
        send_singly(socket, place, outcome);
    } else if (packets > 1 && error == EMSGSIZE) {
        send_singly(socket, place, outcome);
    } else {
        count_failure(outcome, error, packets);
    }
}

static void empty_tray(int socket, struct outcome *outcome)
{
    for (int place = 0; place < tray.count;) {
        int sent = sendmmsg(socket, tray.messages + place, (unsigned)(tray.count - place), 0);
        if (sent > 0) {
            place += sent;
        } else if (errno != EINTR) {
            refused(socket, place, errno, outcome);
            place++;
        }
    }
    tray.count = 0;
    tray.used = 0;
}

/* Make a message of the `packets` that begin at `begin` of the tray's bytes and are `size` long, the last one less. */
static void put_message(const struct leg *leg, size_t begin, int packets, int size)
{
    int place = tray.count++;
    struct msghdr *head = &tray.messages[place].msg_hdr;
    tray.segments[place] = packets;
    tray.sizes[place] = size;
    tray.parts[place] = (struct iovec){tray.bytes + begin, tray.used - begin};
    *head = (struct msghdr){.msg_name = (void *)leg->address, .msg_namelen = leg->address_length,
                            .msg_iov = &tray.parts[place], .msg_iovlen = 1};
    if (packets == 1)
        return;
    uint16_t segment = (uint16_t)size;
    struct control *control = &tray.controls[place];
    control->head = (struct cmsghdr){CMSG_LEN(sizeof segment), IPPROTO_UDP, UDP_SEGMENT};
    memcpy(CMSG_DATA(&control->head), &segment, sizeof segment);
    head->msg_control = control->bytes;
    head->msg_controllen = CMSG_SPACE(sizeof segment);
}

/* Write one packet of a leg to the tray, encrypted; 0 where the cipher fails. */
static int put_packet(struct session *session, const struct leg *leg, const struct row *row, uint16_t wide,
                      const uint8_t *payload)
{
    uint8_t *head = tray.bytes + tray.used;
    int length = 8 + leg->tail_length;
    uint64_t index = ((uint64_t)row->number + (uint64_t)leg->step) & 0xFFFFFFFFFFFF;
    uint16_t sequence = htobe16((uint16_t)index), counted = htobe16(wide);
    uint32_t ssrc, timestamp = htobe32(row->timestamp + leg->later);
    head[0] = leg->first;
    head[1] = row->marker | leg->payload_type;
    memcpy(head + 2, &sequence, 2);
    memcpy(head + 4, &timestamp, 4);
    memcpy(head + 8, leg->tail, leg->tail_length);
    memcpy(&ssrc, leg->tail, 4);
    if (leg->counted) {
        memcpy(head + length, &counted, 2);
        length += 2;
    }
    if (!seal(session, be32toh(ssrc), index, head, length, payload, row->length, head + length))
        return 0;
    tray.used += (size_t)length + row->length + TAG;
    return 1;
}

/* Return how many of the rows from `begin` on go together: equal ones, with perhaps a shorter one at the end. */
static int group_at(const struct row *rows, int begin, int count)
{
    int end = begin + 1;
    while (end < count && end - begin < MAX_GROUP) {
        if (rows[end].length > rows[begin].length)
            break;
        if (rows[end++].length < rows[begin].length)
            break;
    }
    return end - begin;
}

static void send_leg(int socket, const struct leg *leg, int64_t wide, double at, const struct row *rows, int count,
                     const uint8_t *payloads, struct outcome *outcome)
{
    struct session *session = session_of(leg->session);
    int head_length = 8 + leg->tail_length + (leg->counted ? 2 : 0);
    if (leg->counted && count)
        flight_note(flight_of(leg->session), wide, at, rows, count, head_length + TAG + AROUND);
    for (int begin = 0, packets; begin < count; begin += packets) {
        packets = outcome->segmenting ? group_at(rows, begin, count) : 1;
        if (tray.count == MAX_MESSAGES || OUT_SIZE - tray.used < MAX_GROUP * LONGEST)
            empty_tray(socket, outcome);
        size_t from = tray.used;
        int place = begin;
        while (place < begin + packets
               && put_packet(session, leg, &rows[place], (uint16_t)((uint64_t)wide + (uint64_t)place),
                             payloads + rows[place].offset))
            place++;
        outcome->unsent += begin + packets - place;
        if (place > begin)
            put_message(leg, from, place - begin, head_length + rows[begin].length + TAG);
    }
}

static int rows_fit(const struct row *rows, int count, size_t size)
{
    for (int place = 0; place < count; place++)
        if (rows[place].length > MAX_PLAIN || rows[place].offset > size || rows[place].length > size - rows[place].offset)
            return 0;
    return 1;
}

static int leg_fits(const struct leg *leg)
{
    return session_of(leg->session) != NULL && leg->tail_length >= 4 && leg->tail_length <= MAX_TAIL
           && leg->address_length <= MAX_ADDRESS;
}

/*
 * Send the same rows to many legs: each packet gets the leg's header, is encrypted for its session, and goes out
 * together with its neighbours of equal size. `outcome` says on the way in whether the kernel segments, and on the way
 * out what could not be sent. Where `wides` are given, one for each leg, they and `at` stand for the legs' own: then
 * the same legs serve for run after run. 0, and nothing sent, for wrong arguments.
 */
int packets_send(int socket, const struct row *rows, int row_count, const uint8_t *payloads, size_t payload_size,
                 const struct leg *legs, int leg_count, const int64_t *wides, double at, struct outcome *outcome)
{
    if (row_count < 0 || leg_count < 0 || !rows_fit(rows, row_count, payload_size))
        return 0;
    for (int place = 0; place < leg_count; place++)
        if (!leg_fits(&legs[place]))
            return 0;
    for (int place = 0; place < leg_count; place++)
        send_leg(socket, &legs[place], wides == NULL ? legs[place].wide : wides[place],
                 wides == NULL ? legs[place].at : at, rows, row_count, payloads, outcome);
    empty_tray(socket, outcome);
    return 1;
}

/* Write the sizes of what crosses the border, `room` of them at most, so that a reader with other layouts is found out at
 * once; returns how many there are. */
int packets_layout(int32_t *sizes, int room)
{
    const size_t found[] = {sizeof(struct arrival), sizeof(struct packet), sizeof(struct row),
                            sizeof(struct leg), sizeof(struct outcome), sizeof(struct piece),
                            sizeof(struct heard), sizeof(struct reading), sizeof(struct checked), LONGEST};
    const int count = sizeof found / sizeof *found;
    for (int place = 0; place < count && place < room; place++)
        sizes[place] = (int32_t)found[place];
    return count;
}
