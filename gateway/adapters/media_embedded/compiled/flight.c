/*
 * What is under way to one viewer: mirrors `rules/flight.py`, step by step, and reads what nearly all viewers say nearly
 * always: a compound of receiver reports and transport-wide feedback. The feedback goes to the estimator without anybody
 * else being asked; answers to our sender reports wait until the round trip is worked out from them.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "packets.h"

#define KEPT 1024
#define FIRST_ROOM 16
#define NOTE 20 /* bytes of a note before its lengths: first, at, count, around */
#define FARTHEST ((int64_t)1 << 60)
#define REORDERED 32 /* a number that is not told of is lost when so many later ones have arrived */
#define RR 201
#define SDES 202
#define RTPFB 205
#define TRANSPORT_WIDE 15
#define LONGEST_RUN 0x1FFF
#define LARGE 2 /* the status of a number whose delta has two bytes */
#define DELTAS 18 /* where they begin behind a single chunk */
#define REPORT 24 /* bytes of a report block */

struct batch { /* packets that left at once; `left` has a bit for each that was not told of */
    int64_t first, octets;
    double at;
    uint16_t count, around, waiting;
    uint16_t lengths[MAX_BATCH];
    uint64_t left[MAX_BATCH / 64];
};

void flight_end(struct flight *flight)
{
    free(flight->batches);
    memset(flight, 0, sizeof *flight);
}

static struct batch *batch_at(struct flight *flight, int place)
{
    return &flight->batches[(flight->begin + place) % flight->room];
}

/* Make room for one more, up to KEPT; then the oldest one goes. 0 without memory. */
static int make_room(struct flight *flight)
{
    if (flight->count < flight->room)
        return 1;
    if (flight->room == KEPT) {
        flight->begin = (flight->begin + 1) % flight->room;
        flight->count--;
        return 1;
    }
    int room = flight->room ? flight->room * 2 : FIRST_ROOM;
    struct batch *batches = malloc((size_t)room * sizeof *batches);
    if (batches == NULL)
        return 0;
    for (int place = 0; place < flight->count; place++)
        batches[place] = *batch_at(flight, place);
    free(flight->batches);
    flight->batches = batches;
    flight->room = room;
    flight->begin = 0;
    return 1;
}

/* Return a new batch at its place by number: nearly always the last one. NULL without memory. */
static struct batch *insert_batch(struct flight *flight, int64_t first)
{
    if (!make_room(flight))
        return NULL;
    int place = flight->count++;
    for (; place > 0 && batch_at(flight, place - 1)->first > first; place--)
        *batch_at(flight, place) = *batch_at(flight, place - 1);
    struct batch *batch = batch_at(flight, place);
    memset(batch, 0, sizeof *batch);
    return batch;
}

static int add_batch(struct flight *flight, int64_t first, double at, uint16_t count, uint16_t around,
                     const uint8_t *lengths)
{
    if (first < 0 || first > FARTHEST || count == 0 || count > MAX_BATCH)
        return 0;
    struct batch *batch = insert_batch(flight, first);
    if (batch == NULL)
        return 0;
    batch->first = first;
    batch->at = at;
    batch->count = batch->waiting = count;
    batch->around = around;
    memcpy(batch->lengths, lengths, (size_t)count * 2);
    batch->octets = (int64_t)around * count;
    for (int place = 0; place < count; place++) {
        batch->octets += batch->lengths[place];
        batch->left[place / 64] |= (uint64_t)1 << (place % 64);
    }
    if (!flight->some || flight->newest < first + count - 1)
        flight->newest = first + count - 1;
    flight->some = 1;
    return 1;
}

void flight_note(struct flight *flight, int64_t first, double at, const struct row *rows, int count, int around)
{
    uint16_t lengths[MAX_BATCH];
    if (count > MAX_BATCH)
        return;
    for (int place = 0; place < count; place++)
        lengths[place] = rows[place].length;
    add_batch(flight, first, at, (uint16_t)count, (uint16_t)around, (const uint8_t *)lengths);
}

/* Take notes of what was sent, one after the other: first number, moment, count, bytes around each, lengths. */
static int take_notes(struct flight *flight, const uint8_t *notes, size_t size)
{
    while (size >= NOTE) {
        int64_t first;
        double at;
        uint16_t count, around;
        memcpy(&first, notes, 8);
        memcpy(&at, notes + 8, 8);
        memcpy(&count, notes + 16, 2);
        memcpy(&around, notes + 18, 2);
        if ((size - NOTE) / 2 < count || !add_batch(flight, first, at, count, around, notes + NOTE))
            return 0;
        notes += NOTE + 2 * (size_t)count;
        size -= NOTE + 2 * (size_t)count;
    }
    return size == 0;
}

/* -- arrivals -------------------------------------------------------------------------------------------------------- */

struct arrivals { /* one run: `ticks` of the numbers from `begin` up to `end` */
    int64_t begin, end;
    const int64_t *ticks;
};

static void note_highest(struct flight *flight, int64_t number)
{
    if (number > flight->highest)
        flight->highest = number;
}

static void take_whole(struct flight *flight, struct batch *batch, const int64_t *ticks, struct piece *piece)
{
    *piece = (struct piece){batch->at, batch->count, batch->octets, batch->lengths[0] + batch->around, ticks[0], ticks[0]};
    for (int place = 1; place < batch->count; place++) {
        if (ticks[place] < piece->earliest)
            piece->earliest = ticks[place];
        if (ticks[place] > piece->latest)
            piece->latest = ticks[place];
    }
    memset(batch->left, 0, sizeof batch->left);
    batch->waiting = 0;
    note_highest(flight, batch->first + batch->count - 1);
}

/* Take the part of a batch that lies in a run, and what was told of before once only; returns how many pieces. */
static int take_singly(struct flight *flight, struct batch *batch, const struct arrivals *run, struct piece *pieces)
{
    int found = 0;
    int64_t end = batch->first + batch->count < run->end ? batch->first + batch->count : run->end;
    for (int64_t number = batch->first > run->begin ? batch->first : run->begin; number < end; number++) {
        int place = (int)(number - batch->first);
        uint64_t bit = (uint64_t)1 << (place % 64);
        if (!(batch->left[place / 64] & bit))
            continue;
        batch->left[place / 64] &= ~bit;
        batch->waiting--;
        note_highest(flight, number);
        int64_t size = batch->lengths[place] + batch->around, came = run->ticks[number - run->begin];
        pieces[found++] = (struct piece){batch->at, 1, size, size, came, came};
    }
    return found;
}

/* Take one run, going on at the batch `*place`; returns how many pieces. A run has no more pieces than numbers. */
static int take_run(struct flight *flight, int *place, const struct arrivals *run, struct piece *pieces)
{
    int found = 0;
    for (; *place < flight->count; ++*place) {
        struct batch *batch = batch_at(flight, *place);
        int64_t end = batch->first + batch->count;
        if (batch->first >= run->end)
            break;
        if (batch->first >= run->begin && end <= run->end && batch->waiting == batch->count) {
            take_whole(flight, batch, run->ticks + (batch->first - run->begin), &pieces[found++]);
        } else if (end > run->begin) {
            found += take_singly(flight, batch, run, pieces + found);
            if (end > run->end)
                break;
        }
    }
    return found;
}

static int64_t unwrapped(const struct flight *flight, uint16_t base)
{
    int64_t newest = flight->some ? flight->newest : -1;
    return newest - ((newest - base) & 0xFFFF);
}

/* Forget batches that `reordered` later packets have overtaken; returns how many packets of them never arrived. */
static int forget_overtaken(struct flight *flight, int reordered)
{
    int lost = 0;
    while (flight->count) {
        struct batch *batch = batch_at(flight, 0);
        if (batch->waiting && batch->first + batch->count > flight->highest - reordered + 1)
            break;
        lost += batch->waiting;
        flight->begin = (flight->begin + 1) % flight->room;
        flight->count--;
    }
    return lost;
}

/* -- what Python calls ----------------------------------------------------------------------------------------------- */

/*
 * Take `notes` and then runs of arrivals after the 16-bit number `base`: pairs of offset and count in `runs`, all their
 * ticks one after the other. Returns how many pieces there are, at most as many as ticks; -1 for wrong arguments.
 */
int packets_told(int number, const uint8_t *notes, size_t notes_size, int base, const int32_t *runs, int run_count,
                 const int64_t *ticks, int tick_count, struct piece *pieces, int room)
{
    struct flight *flight = flight_of(number);
    int place = 0, found = 0;
    if (flight == NULL || run_count < 0 || tick_count < 0 || room < tick_count || !take_notes(flight, notes, notes_size))
        return -1;
    int64_t from = unwrapped(flight, (uint16_t)base);
    for (int run = 0; run < run_count; run++) {
        int32_t offset = runs[2 * run], count = runs[2 * run + 1];
        if (offset < 0 || count < 0 || count > tick_count)
            return -1;
        struct arrivals arrivals = {from + offset, from + offset + count, ticks};
        found += take_run(flight, &place, &arrivals, pieces + found);
        ticks += count;
        tick_count -= count;
    }
    return found;
}

/* Forget what is overtaken; returns how many packets were lost, -1 for a session that does not exist. */
int packets_lost(int number, int reordered)
{
    struct flight *flight = flight_of(number);
    return flight == NULL ? -1 : forget_overtaken(flight, reordered);
}

/* -- what viewers say ------------------------------------------------------------------------------------------------- */

struct told { /* transport-wide feedback, read: runs of arrivals, the ticks of all one after the other */
    uint16_t base;
    uint32_t reference;
    int runs, arrived;
    int32_t offsets[LONGEST], counts[LONGEST];
    uint8_t statuses[LONGEST];
    int64_t ticks[LONGEST];
};

struct compound { /* what a compound says that is taken here */
    int fed, answered;
    struct told told;
    struct answer answers[MAX_ANSWERS];
};

static uint16_t two_bytes(const uint8_t *data)
{
    return (uint16_t)(data[0] << 8 | data[1]);
}

static uint32_t four_bytes(const uint8_t *data)
{
    return (uint32_t)two_bytes(data) << 16 | two_bytes(data + 2);
}

/* Note that numbers from `offset` on came, `count` of them; 0 where they are more than any packet has deltas for. */
static int add_arrived(struct told *told, int offset, int count, int status)
{
    if (told->arrived + count > LONGEST)
        return 0;
    int last = told->runs - 1;
    if (last >= 0 && told->offsets[last] + told->counts[last] == offset) {
        told->counts[last] += count;
    } else {
        told->offsets[told->runs] = offset;
        told->counts[told->runs++] = count;
    }
    memset(told->statuses + told->arrived, status, (size_t)count);
    told->arrived += count;
    return 1;
}

/* Read chunks of one packet, which begin at `at`, up to `count` numbers; returns where they end, -1 where they do not. */
static int read_chunks(struct told *told, const uint8_t *body, int length, int at, int count)
{
    for (int offset = 0; offset < count;) {
        if (at + 2 > length)
            return -1;
        uint16_t word = two_bytes(body + at);
        at += 2;
        if (!(word & 0x8000)) {
            int status = word >> 13 & 3, run = word & LONGEST_RUN;
            run = run < count - offset ? run : count - offset;
            if (run == 0 || status > LARGE || (status && !add_arrived(told, offset, run, status)))
                return -1;
            offset += run;
            continue;
        }
        int size = word & 0x4000 ? 2 : 1, symbols = 14 / size;
        for (int place = 0; place < symbols && offset + place < count; place++) {
            int status = word >> (14 - size * (place + 1)) & (size == 2 ? 3 : 1);
            if (status > LARGE || (status && !add_arrived(told, offset + place, 1, status)))
                return -1;
        }
        offset += symbols;
    }
    return at;
}

/* Read transport-wide feedback (`transport_feedback.parse`); 0 where that would find it malformed. */
static int read_feedback(const uint8_t *body, int length, struct told *told)
{
    int64_t sum = 0;
    if (length < DELTAS)
        return 0;
    told->base = two_bytes(body + 8);
    told->reference = four_bytes(body + 12) >> 8;
    told->runs = told->arrived = 0;
    int at = read_chunks(told, body, length, 16, two_bytes(body + 10));
    if (at < 0)
        return 0;
    for (int place = 0; place < told->arrived; place++) {
        int size = told->statuses[place] == LARGE ? 2 : 1;
        if (at + size > length)
            return 0;
        sum += size == 2 ? (int16_t)two_bytes(body + at) : body[at];
        told->ticks[place] = sum;
        at += size;
    }
    return 1;
}

/* Read the blocks of a receiver report; 0 where it is cut off, or answers more than there is room for. */
static int read_reports(const uint8_t *body, int length, int blocks, struct compound *found, double now)
{
    if (length < 4 + REPORT * blocks)
        return 0;
    for (const uint8_t *block = body + 4; blocks > 0; blocks--, block += REPORT) {
        struct answer answer = {now, four_bytes(block), four_bytes(block + 16), four_bytes(block + 20), 0};
        if (answer.last_report == 0)
            continue;
        if (found->answered == MAX_ANSWERS)
            return 0;
        found->answers[found->answered++] = answer;
    }
    return 1;
}

/* Tell whether a compound has nothing but receiver reports, names, and transport-wide feedback once; read it. */
static int read_compound(const uint8_t *data, int length, struct compound *found, double now)
{
    found->fed = found->answered = 0;
    for (int at = 0, end; at < length; at = end) {
        if (at + 4 > length || data[at] >> 6 != 2)
            return 0;
        end = at + 4 + 4 * two_bytes(data + at + 2);
        if (end > length)
            return 0;
        int form = data[at] & 31, kind = data[at + 1], size = end - at - 4;
        if (data[at] & 0x20) {
            int padding = data[end - 1];
            if (size == 0 || padding == 0 || padding > size)
                return 0;
            size -= padding;
        }
        if (kind == RTPFB && form == TRANSPORT_WIDE && !found->fed)
            found->fed = read_feedback(data + at + 4, size, &found->told);
        else if (!(kind == RR && read_reports(data + at + 4, size, form, found, now)) && kind != SDES)
            return 0;
        if (kind == RTPFB && !found->fed)
            return 0;
    }
    return length > 0;
}

/* Take feedback and tell the estimator what it means. */
static void take_feedback(struct flight *flight, struct estimator *estimator, const struct told *told, double now)
{
    static struct piece pieces[LONGEST];
    int place = 0, count = 0;
    int64_t from = unwrapped(flight, told->base);
    const int64_t *ticks = told->ticks;
    for (int run = 0; run < told->runs; ticks += told->counts[run++]) {
        int64_t begin = from + told->offsets[run];
        struct arrivals arrivals = {begin, begin + told->counts[run], ticks};
        count += take_run(flight, &place, &arrivals, pieces + count);
    }
    int lost = count ? forget_overtaken(flight, REORDERED) : 0;
    estimate_arrived(estimator, told->reference, pieces, count, lost, now);
}

/* Tell whether answers to sender reports, which wait for Python to look, have room beside those that wait already. */
static int some_room(const struct heard *heard, const struct compound *compound)
{
    return heard->answered + compound->answered <= MAX_ANSWERS;
}

static void take_compound(int number, const struct compound *compound, double now)
{
    struct heard *heard = heard_of(number);
    for (int place = 0; place < compound->answered; place++)
        heard->answers[heard->answered++] = compound->answers[place];
    if (compound->fed)
        take_feedback(flight_of(number), estimator_of(number), &compound->told, now);
}

int flight_heard(int number, const uint8_t *data, int length, double now)
{
    static uint8_t plain[LONGEST];
    static struct compound compound;
    struct session *session = session_of(number);
    int size = length > LONGEST ? -1 : open_control(session, data, length, plain, sizeof plain);
    if (size < 0 || !read_compound(plain, size, &compound, now) || !some_room(heard_of(number), &compound)
        || !take_control(session, data, length))
        return 0;
    take_compound(number, &compound, now);
    return 1;
}

/* Take notes of what was sent; 0 for wrong arguments. */
int packets_note(int number, const uint8_t *notes, size_t notes_size)
{
    struct flight *flight = flight_of(number);
    return flight != NULL && take_notes(flight, notes, notes_size);
}

/*
 * Decrypt and take an RTCP compound as `packets_read_control` does, and where it says nothing but how packets came, take
 * that: then `*told` is 1, and nobody needs to read it.
 */
int packets_feedback(int number, const uint8_t *data, int length, uint8_t *out, size_t out_size, double now,
                     int32_t *told)
{
    static struct compound compound;
    *told = 0;
    if (length > LONGEST)
        return -BROKEN;
    int size = packets_read_control(number, data, length, out, out_size);
    if (size >= 0 && read_compound(out, size, &compound, now) && some_room(heard_of(number), &compound)) {
        take_compound(number, &compound, now);
        *told = 1;
    }
    return size;
}
