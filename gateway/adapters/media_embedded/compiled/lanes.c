/*
 * Media that follows on what came before: packets of one track, in order, none of them beginning a key frame. They are
 * written down as rows that legs can be sent at once. The rules say what comes next (`rules/ingest.Ingest.steady`);
 * whatever else comes goes to them packet by packet, and the lane is closed until they have seen it.
 */
#include <string.h>

#include "packets.h"

#define MASK 0xFFFFFFFFu
#define VP8_START 0x10 /* RFC 7741: S set, partition 0 */
#define VP8_WHERE 0x17
#define IDR 5 /* RFC 6184 */
#define SPS 7
#define STAP_A 24
#define FU_A 28

/* Mirrors `vp8.starts_key_frame`. */
static int starts_vp8(const uint8_t *payload, int length)
{
    int at = 1;
    if ((payload[0] & VP8_WHERE) != VP8_START)
        return 0;
    if (payload[0] & 0x80) {
        if (length < 2)
            return 0;
        at = 2;
        if (payload[1] & 0x80) {
            if (length < 3)
                return 0;
            at += payload[2] & 0x80 ? 2 : 1;
        }
        at += (payload[1] & 0x40 ? 1 : 0) + (payload[1] & 0x30 ? 1 : 0);
    }
    return at < length && !(payload[at] & 1);
}

static int starts_unit(uint8_t head)
{
    int kind = head & 31;
    return kind == IDR || kind == SPS;
}

/* Mirrors `h264.starts_key_frame`. */
static int starts_h264(const uint8_t *payload, int length)
{
    int kind = payload[0] & 31;
    if (kind == FU_A)
        return length > 1 && payload[1] & 0x80 && starts_unit(payload[1]);
    if (kind != STAP_A)
        return starts_unit(payload[0]);
    for (int at = 1; at + 2 < length; at += 2 + (payload[at] << 8 | payload[at + 1]))
        if (starts_unit(payload[at + 2]))
            return 1;
    return 0;
}

static int starts_key_frame(int look, const uint8_t *payload, int length)
{
    if (look == LOOK_VP8)
        return starts_vp8(payload, length);
    return look == LOOK_H264 && starts_h264(payload, length);
}

static struct lane *lane_of(struct session *session, uint32_t ssrc)
{
    struct lane *lanes = lanes_of(session);
    for (int place = 0; place < MAX_LANES; place++)
        if (lanes[place].open && lanes[place].ssrc == ssrc)
            return &lanes[place];
    return NULL;
}

/* Tell whether header extensions are those that the rules have read, but for the transport-wide number. */
static int is_headed(const struct lane *lane, const uint8_t *block, uint32_t length)
{
    uint32_t at = lane->number_at;
    if (length != lane->block_length)
        return 0;
    if (at == 0)
        return memcmp(block, lane->block, length) == 0;
    return memcmp(block, lane->block, at) == 0 && memcmp(block + at + 2, lane->block + at + 2, length - at - 2) == 0;
}

static int wide_of(const struct lane *lane, const uint8_t *block)
{
    return lane->number_at ? block[lane->number_at] << 8 | block[lane->number_at + 1] : -1;
}

/* Tell whether a packet is the `place`th that follows on the lane's last. */
static int follows(const struct lane *lane, const struct packet *packet, const uint8_t *data, const uint8_t *plain,
                   int place, int wide)
{
    const uint8_t *block = data + packet->block_at;
    return packet->status == TAKEN && packet->ssrc == lane->ssrc && packet->payload_type == lane->payload_type
           && packet->sequence == (uint16_t)(lane->last + 1 + place) && packet->payload_length > 0
           && is_headed(lane, block, packet->block_length)
           && (wide < 0 || wide_of(lane, block) == ((wide + place) & 0xFFFF))
           && !starts_key_frame(lane->look, plain + packet->payload_at, (int)packet->payload_length);
}

static void write_rows(const struct lane *lane, const struct packet *packets, const uint8_t *plain, struct row *rows,
                       uint8_t *payloads, struct reading *reading)
{
    uint32_t newest = packets[0].timestamp;
    reading->alike = 1;
    for (int place = 0; place < reading->count; place++) {
        const struct packet *packet = &packets[place];
        rows[place] = (struct row){.number = lane->last + 1 + place, .timestamp = packet->timestamp,
                                   .offset = (uint32_t)reading->size, .length = (uint16_t)packet->payload_length,
                                   .marker = packet->marker ? 0x80 : 0, .later = packet->later};
        memcpy(payloads + reading->size, plain + packet->payload_at, packet->payload_length);
        reading->size += (int32_t)packet->payload_length;
        if (packet->payload_length > reading->longest)
            reading->longest = (uint16_t)packet->payload_length;
        uint32_t step = (packet->timestamp - newest) & MASK;
        reading->alike &= step == 0;
        if (0 < step && step < (uint32_t)1 << 31)
            newest = packet->timestamp;
    }
    reading->newest = newest;
}

/* Close the lanes of what the rules will see packet by packet. */
static void close_lanes(struct session *session, const struct packet *packets, int count)
{
    for (int place = 0; place < count; place++) {
        struct lane *lane = packets[place].status == TAKEN ? lane_of(session, packets[place].ssrc) : NULL;
        if (lane != NULL)
            lane->open = 0;
    }
}

void lane_reads(struct session *session, const struct packet *packets, const uint8_t *data, const uint8_t *plain,
                struct row *rows, uint8_t *payloads, struct reading *reading)
{
    struct lane *lane = lane_of(session, packets[0].ssrc);
    int count = reading->count, place = 0, wide = -1;
    if (lane != NULL && packets[0].status == TAKEN && packets[0].block_length == lane->block_length)
        wide = wide_of(lane, data + packets[0].block_at);
    while (lane != NULL && place < count && follows(lane, &packets[place], data, plain, place, wide))
        place++;
    if (lane == NULL || place < count) {
        close_lanes(session, packets, count);
        return;
    }
    reading->lane = (uint8_t)(lane - lanes_of(session) + 1);
    reading->number = lane->last + 1;
    reading->wide = wide;
    write_rows(lane, packets, plain, rows, payloads, reading);
    lane->last += count;
}

/*
 * Open a lane behind the packet `last` (its whole number): what follows has this SSRC, this payload type, and header
 * extensions like `block`, but for two bytes at `number_at` (0: none). 0 for wrong arguments, and no lane then.
 */
int packets_lane(int number, int place, uint32_t ssrc, int64_t last, int payload_type, int look, int number_at,
                 const uint8_t *block, int block_length)
{
    struct session *session = session_of(number);
    if (session == NULL || place < 0 || place >= MAX_LANES || payload_type < 0 || payload_type > 127 || last < 0
        || last >= (int64_t)1 << 47 || look < LOOK_NEVER || look > LOOK_H264 || block_length < 0
        || block_length > MAX_BLOCK || number_at < 0 || (number_at && number_at + 2 > block_length))
        return 0;
    struct lane *lane = &lanes_of(session)[place];
    *lane = (struct lane){.last = last, .ssrc = ssrc, .payload_type = (uint8_t)payload_type, .look = (uint8_t)look,
                          .number_at = (uint8_t)number_at, .block_length = (uint8_t)block_length, .open = 1};
    memcpy(lane->block, block, (size_t)block_length);
    return 1;
}
