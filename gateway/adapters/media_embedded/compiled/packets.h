/*
 * The loops of the packet path that run once for each packet: SRTP with AES-GCM (RFC 3711, RFC 7714), the replay check,
 * the headers of legs, and system calls that take many datagrams at once.
 *
 * It decides nothing. What goes to whom under which number comes from the rules in Python; the replay window mirrors
 * `srtp_gcm.Replay`, the cut into groups `paths.groups_of`, what is under way `rules/flight`, what a line carries
 * `rules/estimate`, and tests hold the two against each other. The cipher is OpenSSL's.
 *
 * Sessions are named by small numbers, never by pointers, and every length and offset is checked here: no argument of
 * these functions can make them read or write outside of the buffers that they were given. One thread may use them.
 */
#ifndef PACKETS_H
#define PACKETS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define HEADER 12
#define TAG 16
#define SALT 12
#define LONGEST 2048
#define MAX_TAIL 64
#define MAX_BATCH 128
#define MAX_ADDRESS 28 /* sizeof(struct sockaddr_in6) */

/* -- what crosses the border; `library.py` has the same layouts --------------------------------------------------- */

struct arrival {
    uint16_t length;
    uint16_t address_length;
    uint32_t place; /* which LONGEST bytes of the buffer it lies in */
    uint8_t address[MAX_ADDRESS];
};

struct packet {
    uint32_t timestamp, ssrc, payload_at, payload_length, block_at, block_length;
    uint16_t sequence;
    uint8_t status, payload_type, marker, unused;
    uint16_t later; /* how many ticks after the reading's first one it came */
};

/*
 * Packets of one peer that one slice brought and that were read; `octets` are of the datagrams, `marked` says whether a
 * frame's last packet is among them. Where all of them follow on a lane, `lane` is one more than its place, and as many
 * rows from `first` on have them: their payloads are `size` bytes from `at` on, the longest of `longest`, their numbers
 * go on from `number`, their transport-wide ones from `wide` (-1: none), `newest` is the newest timestamp, and `alike`
 * says that there is no other. The first one reached this machine at `came`, all of them unless they came `apart`.
 */
struct reading {
    int64_t number;
    double came;
    int32_t first, count, octets, wide, at, size;
    uint32_t newest;
    uint16_t address_length, longest;
    uint8_t marked, lane, alike, apart;
    uint8_t address[MAX_ADDRESS];
};

struct row {
    int64_t number;
    uint32_t timestamp, offset;
    uint16_t length;
    uint8_t marker, unused;
    uint16_t later, unused_too; /* as the packet's, where a reading made the row */
};

struct leg {
    int64_t step, wide; /* the transport-wide number of the first packet, not wrapped */
    double at;          /* when the rules sent it */
    int32_t session;
    uint32_t later;
    uint8_t counted; /* whether there is a transport-wide number */
    uint8_t first, payload_type, tail_length, address_length, unused;
    uint8_t tail[MAX_TAIL];
    uint8_t address[MAX_ADDRESS];
};

struct piece {
    double at;
    int64_t count, octets, leading, earliest, latest;
};

#define MAX_LANES 4
#define MAX_BLOCK 64

enum { LOOK_NEVER = 0, LOOK_VP8 = 1, LOOK_H264 = 2 }; /* where key frames begin */

struct lane { /* what the next packet of a track looks like, see lanes.c */
    int64_t last;
    uint32_t ssrc;
    uint8_t payload_type, look, number_at, block_length, open, unused[7];
    uint8_t block[MAX_BLOCK];
};

#define MAX_USER 256
#define MAX_PASSWORD 256

struct checked { /* consent checks that were answered: how many, the last one's moment and priority, and when the last
                    came that nominated (negative: none) */
    int64_t count;
    double at, nominated_at;
    uint32_t priority, unused;
};

struct consent { /* whose checks are answered, see consent.c */
    struct checked heard;
    uint16_t user_length, password_length;
    uint8_t open, address[MAX_ADDRESS], user[MAX_USER], password[MAX_PASSWORD];
};

#define MAX_ANSWERS 8

struct answer { /* a block of a receiver report that came at `at`: which sender report it answers, and after how long */
    double at;
    uint32_t ssrc, last_report, delay, unused;
};

struct outcome {
    int32_t full, unsent, segmenting, unused;
};

/* -- what the files have in common --------------------------------------------------------------------------------- */

enum { TAKEN = 0, REPLAY = 1, SPOOFED = 2, MALFORMED = 3, TOO_MANY_SOURCES = 4, BROKEN = 5 };

struct session;

struct batch;

#define MAX_TRAINS 32
#define MAX_BASES 6
#define MAX_DELIVERED 512

struct train {
    double at, rate;
};

struct base {
    double at, way;
};

struct delivery {
    double came;
    int64_t octets;
};

struct estimator { /* see rules/estimate.py; negative rates and shares are not known yet */
    double bitrate, fraction_lost, bound, bound_at, looked_at, quickest, queue_s, lowered_at, grown_at, counted_at;
    double distrust_until, distrust_s;
    int64_t last_reference, looked_packets, delivered_bytes, arrived, lost;
    int some_bound, some_look, some_quickest, some_growth, some_count, stood;
    int base_count, train_begin, train_count, delivered_begin, delivered_count;
    struct base bases[MAX_BASES];
    struct train trains[MAX_TRAINS];
    double sorted[MAX_TRAINS];
    struct delivery delivered[MAX_DELIVERED];
};

struct heard { /* what came from a peer and needed nobody else */
    int64_t packets, octets;
    int32_t answered, unused;
    struct answer answers[MAX_ANSWERS];
};

struct flight { /* batches in order of sending, a ring of `room` */
    struct batch *batches;
    int room, begin, count, some;
    int64_t newest, highest;
};

/* Return what is under way in a session, NULL where there is none of that number. */
struct flight *flight_of(int number);

void flight_end(struct flight *flight);

/* Note packets that leave at once: as many numbers from `first` on as there are rows. */
void flight_note(struct flight *flight, int64_t first, double at, const struct row *rows, int count, int around);

/*
 * Take an SRTCP datagram if it is nothing but receiver reports and transport-wide feedback. 0, and nothing changed, for
 * any other.
 */
int flight_heard(int number, const uint8_t *data, int length, double now);

/* Return a session's estimator, NULL where there is none of that number. */
struct estimator *estimator_of(int number);

void estimate_begin(struct estimator *own);

/* Take what the flight makes of arrivals; `reference` counts 64 ms, 24 bits of it. */
void estimate_arrived(struct estimator *own, int64_t reference, const struct piece *pieces, int count, int lost,
                      double now);

/* Which session an address is heard for; begun anew for every slice of a socket (see routes.c). */
void route_began(void);

/* Take a datagram that needs nobody else; 0 where somebody must see it. */
int route_took(const uint8_t *address, const uint8_t *data, int length, double now);

/* Return the session whose media comes from an address, where a datagram is RTP; -1 where it is not, or not known. */
int route_reads(const uint8_t *address, const uint8_t *data, int length);

/* Check, decrypt and read an RTP packet of a session into `out`, as long as the datagram; all offsets are from 0. */
void read_packet(int number, const uint8_t *data, int length, uint8_t *out, struct packet *packet);

/* Return the lanes of a session, MAX_LANES of them. */
struct lane *lanes_of(struct session *session);

/* Return whose checks are answered for a session. */
struct consent *consent_of(struct session *session);

/*
 * Answer a consent check of a session's peer that came from `address` by this socket; 0 where somebody must see it.
 * `failed` counts answers that found the buffer full, and those that could not be sent.
 */
int consent_took(struct session *session, int socket, const uint8_t *address, socklen_t address_length,
                 const uint8_t *data, int length, double now, int32_t *failed);

/* HMAC-SHA1, 20 bytes to `out`; 0 where it fails. */
int hmac_sha1(const uint8_t *key, int key_length, const uint8_t *data, size_t length, uint8_t *out);

/* Return the session that is heard by an address, NULL where none is. */
struct session *route_leads(const uint8_t *address);

/*
 * Write the packets of a reading down as rows if all of them follow on one lane, their payloads to `payloads`; else close
 * the lanes that they are of. Payloads lie in `plain`, header extensions in `data`.
 */
void lane_reads(struct session *session, const struct packet *packets, const uint8_t *data, const uint8_t *plain,
                struct row *rows, uint8_t *payloads, struct reading *reading);

/* Return where it is counted what a session said without anybody else's help. */
struct heard *heard_of(int number);

/* Return a session by its number, NULL where there is none. */
struct session *session_of(int number);

/*
 * Encrypt an RTP packet of a session: `length` bytes behind a head of `head_length`, to `out`, the tag behind them. 0
 * where the cipher fails. The caller answers for the nonce rule: one SSRC and index, one content.
 */
int seal(struct session *session, uint32_t ssrc, uint64_t index, const uint8_t *head, int head_length,
         const uint8_t *plain, int length, uint8_t *out);

/*
 * Check and decrypt an RTCP compound (RFC 7714 section 9.3) into `out`, and leave the replay window alone: call
 * `take_control` for what was made use of. Returns its length, or minus what is wrong with it.
 */
int open_control(struct session *session, const uint8_t *data, int length, uint8_t *out, size_t out_size);

/* Note that a compound which `open_control` has checked was taken. 0 where its sender is one too many. */
int take_control(struct session *session, const uint8_t *data, int length);

/*
 * Check, decrypt and take an RTCP compound into `out`. Returns its length, or minus what is wrong with it (BROKEN: too
 * short, or not encrypted).
 */
int packets_read_control(int number, const uint8_t *data, int length, uint8_t *out, size_t out_size);

#endif
