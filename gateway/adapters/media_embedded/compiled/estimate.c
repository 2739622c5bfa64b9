/*
 * What one viewer's line carries: mirrors `rules/estimate.py` and `rules/trains.py`, sum by sum in their order, so that
 * both come to the very same numbers.
 */
#include <math.h>
#include <string.h>

#include "packets.h"

#define START 1000000.0
#define LEAST 100000.0
#define MOST 100000000.0
#define QUEUE_S 0.04
#define DRAINED_S 0.02
#define BACK_OFF 0.85
#define LEFT_OVER 0.95
#define GROWTH_A_S 1.08
#define FAST_GROWTH_A_S 2.0
#define HEADROOM 1.5
#define HEADROOM_BPS 10000.0
#define LOOK_S 0.1
#define LOOK_PACKETS 5
#define LOOK_AT_LEAST_S 0.5
#define BASE_S 5.0
#define DELIVERED_S 0.5
#define TRAIN_GAP_S 0.002
#define TRAIN_PACKETS 5
#define LONG_TRAIN 12
#define TRAIN_TRUST 0.8
#define DISTRUST_S 5.0
#define LONGEST_DISTRUST_S 80.0
#define FEW_TRAINS 3
#define MANY_TRAINS 6
#define LOSS_S 1.0
#define LOSS_PACKETS 50
#define TOO_MUCH_LOSS 0.12
#define LITTLE_LOSS 0.02
#define NEVER (-1e9)
#define INFINITE 1e18
#define BOUND_S 10.0
#define TRAINS_S 5.0
#define REFERENCE_TICKS 256
#define TICK_S 0.00025
#define REFERENCES ((int64_t)1 << 24)

static double least(double one, double other)
{
    return other < one ? other : one;
}

static double most(double one, double other)
{
    return other > one ? other : one;
}

void estimate_begin(struct estimator *own)
{
    memset(own, 0, sizeof *own);
    own->bitrate = own->fraction_lost = own->last_reference = -1;
    own->bound_at = own->lowered_at = NEVER;
    own->distrust_s = DISTRUST_S;
}

/* -- trains, ascending in `sorted` ------------------------------------------------------------------------------------ */

static void forget_train(struct estimator *own)
{
    double rate = own->trains[own->train_begin].rate;
    int place = 0;
    while (own->sorted[place] < rate)
        place++;
    own->train_begin = (own->train_begin + 1) % MAX_TRAINS;
    own->train_count--;
    memmove(own->sorted + place, own->sorted + place + 1, (size_t)(own->train_count - place) * sizeof *own->sorted);
}

static void add_train(struct estimator *own, double rate, double now)
{
    if (own->train_count == MAX_TRAINS)
        forget_train(own);
    int place = own->train_count;
    own->trains[(own->train_begin + place) % MAX_TRAINS] = (struct train){now, rate};
    own->train_count++;
    for (; place > 0 && own->sorted[place - 1] > rate; place--)
        own->sorted[place] = own->sorted[place - 1];
    own->sorted[place] = rate;
}

static void forget_old_trains(struct estimator *own, double now)
{
    while (own->train_count && now - own->trains[own->train_begin].at > TRAINS_S)
        forget_train(own);
}

static double middle(const double *values, int count)
{
    int half = count / 2;
    return count % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/* -- arrivals ---------------------------------------------------------------------------------------------------------- */

static void note_delivered(struct estimator *own, double came, int64_t octets)
{
    if (own->delivered_count == MAX_DELIVERED) {
        own->delivered_bytes -= own->delivered[own->delivered_begin].octets;
        own->delivered_begin = (own->delivered_begin + 1) % MAX_DELIVERED;
        own->delivered_count--;
    }
    own->delivered[(own->delivered_begin + own->delivered_count++) % MAX_DELIVERED] = (struct delivery){came, octets};
    own->delivered_bytes += octets;
    while (own->delivered[own->delivered_begin].came < came - DELIVERED_S) {
        own->delivered_bytes -= own->delivered[own->delivered_begin].octets;
        own->delivered_begin = (own->delivered_begin + 1) % MAX_DELIVERED;
        own->delivered_count--;
    }
}

struct arriving { /* a train that may go on */
    double began, earliest, latest;
    int64_t octets, leading, length;
};

static void end_train(struct estimator *own, const struct arriving *train, double now)
{
    double took = train->latest - train->earliest;
    note_delivered(own, train->latest, train->octets);
    if (train->length < TRAIN_PACKETS)
        return;
    double bits = (double)((train->octets - train->leading) * 8);
    double rate = took <= bits / MOST ? MOST : bits / took;
    for (int times = train->length >= LONG_TRAIN ? 3 : 1; times > 0; times--)
        add_train(own, rate, now);
}

static int64_t arrive(struct estimator *own, int64_t reference, const struct piece *pieces, int count, double now)
{
    double quickest = own->some_quickest ? own->quickest : INFINITE;
    struct arriving train = {-INFINITE, 0, 0, 0, 0, 0};
    int64_t known = 0;
    for (const struct piece *piece = pieces; piece < pieces + count; piece++) {
        double came = (double)(reference + piece->earliest) * TICK_S;
        double ended = (double)(reference + piece->latest) * TICK_S, apart = piece->at - train.began;
        quickest = least(quickest, came - piece->at);
        known += piece->count;
        if (-TRAIN_GAP_S <= apart && apart <= TRAIN_GAP_S) {
            train.octets += piece->octets;
            train.length += piece->count;
            train.earliest = least(train.earliest, came);
            train.latest = most(train.latest, ended);
            continue;
        }
        if (train.length)
            end_train(own, &train, now);
        train = (struct arriving){piece->at, came, ended, piece->octets, piece->leading, piece->count};
    }
    if (known) {
        end_train(own, &train, now);
        own->quickest = quickest;
        own->some_quickest = 1;
        own->looked_packets += known;
        own->arrived += known;
    }
    return known;
}

static double rate_of(const struct estimator *own)
{
    return own->delivered_count < 2 ? 0.0 : (double)(own->delivered_bytes * 8) / DELIVERED_S;
}

static void lower(struct estimator *own, double to, double now)
{
    if (own->bitrate < 0 || to >= own->bitrate)
        return;
    if (own->train_count && now - own->lowered_at > 1.0) {
        own->distrust_until = now + own->distrust_s;
        own->distrust_s = least(own->distrust_s * 2, LONGEST_DISTRUST_S);
    }
    own->train_count = 0;
    own->bitrate = to;
    own->lowered_at = now;
}

static void note_base(struct estimator *own, double now)
{
    int count = own->base_count;
    if (count && now - own->bases[count - 1].at < BASE_S) {
        struct base *last = &own->bases[count - 1];
        last->way = least(last->way, own->quickest);
        return;
    }
    if (count == MAX_BASES) {
        memmove(own->bases, own->bases + 1, (MAX_BASES - 1) * sizeof *own->bases);
        count--;
    }
    own->bases[count] = (struct base){now, own->quickest};
    own->base_count = count + 1;
}

static void look(struct estimator *own, double now)
{
    if (!own->some_look) {
        own->some_look = 1;
        own->looked_at = now;
    }
    double passed = now - own->looked_at;
    int enough = passed >= LOOK_S && own->looked_packets >= LOOK_PACKETS;
    if (!own->some_quickest || !(enough || passed >= LOOK_AT_LEAST_S))
        return;
    note_base(own, now);
    double before = own->queue_s, base = own->bases[0].way;
    for (int place = 1; place < own->base_count; place++)
        base = least(base, own->bases[place].way);
    own->queue_s = own->quickest - base;
    own->looked_at = now;
    own->some_quickest = 0;
    own->looked_packets = 0;
    int stands = own->queue_s > QUEUE_S;
    if (stands && own->stood && own->queue_s >= before * 0.98)
        lower(own, most(rate_of(own) * BACK_OFF, LEAST), now);
    own->stood = stands;
}

static void judge_loss(struct estimator *own, double fraction, double delivered, double now)
{
    double before = own->fraction_lost < 0 ? fraction : own->fraction_lost;
    own->fraction_lost = (before + fraction) / 2;
    if (least(fraction, own->fraction_lost) > TOO_MUCH_LOSS && own->bitrate >= 0) {
        double by_loss = own->bitrate * (1 - fraction / 2);
        lower(own, most(most(by_loss, least(delivered, own->bitrate) * LEFT_OVER), LEAST), now);
    }
}

static void weigh_losses(struct estimator *own, double now)
{
    if (!own->some_count) {
        own->some_count = 1;
        own->counted_at = now;
    }
    int64_t total = own->arrived + own->lost;
    if (now - own->counted_at < LOSS_S || total < LOSS_PACKETS)
        return;
    double fraction = (double)own->lost / (double)total;
    own->counted_at = now;
    own->arrived = own->lost = 0;
    judge_loss(own, fraction, rate_of(own), now);
}

static double passed_since_growth(struct estimator *own, double now, double longest)
{
    double passed = own->some_growth ? least(now - own->grown_at, longest) : 0.0;
    own->some_growth = 1;
    own->grown_at = now;
    return passed;
}

static void grow(struct estimator *own, double now)
{
    double passed = passed_since_growth(own, now, 1.0);
    if (own->queue_s > DRAINED_S || now - own->lowered_at < 1.0)
        return;
    if (now - own->lowered_at > LONGEST_DISTRUST_S)
        own->distrust_s = DISTRUST_S;
    int trusted = !(now < own->distrust_until), count = 0;
    if (trusted) {
        forget_old_trains(own, now);
        count = own->train_count;
    }
    double delivered = rate_of(own);
    own->bitrate = most(own->bitrate, delivered * LEFT_OVER);
    double seen = count >= FEW_TRAINS ? middle(own->sorted, count) * TRAIN_TRUST : 0.0;
    if (seen > own->bitrate)
        own->bitrate = own->lowered_at > NEVER ? least(seen, own->bitrate * pow(FAST_GROWTH_A_S, passed)) : seen;
    double limit = most(delivered * HEADROOM + HEADROOM_BPS, seen);
    if (!count && trusted)
        limit = most(limit, START);
    if (own->bitrate < limit)
        own->bitrate = least(own->bitrate * pow(GROWTH_A_S, passed), limit);
    else if (count >= MANY_TRAINS && delivered < own->bitrate / 2)
        own->bitrate = least(own->bitrate, most(own->sorted[count - 1], limit));
}

static int64_t unwrapped_reference(struct estimator *own, int64_t value)
{
    if (own->last_reference < 0) {
        own->last_reference = value + REFERENCES;
        return own->last_reference;
    }
    int64_t step = (value - own->last_reference) & (REFERENCES - 1);
    if (step >= REFERENCES / 2)
        return own->last_reference + step - REFERENCES;
    own->last_reference += step;
    return own->last_reference;
}

void estimate_arrived(struct estimator *own, int64_t reference, const struct piece *pieces, int count, int lost,
                      double now)
{
    reference = unwrapped_reference(own, reference & (REFERENCES - 1)) * REFERENCE_TICKS;
    if (!arrive(own, reference, pieces, count, now))
        return;
    own->lost += lost;
    if (own->bitrate < 0)
        own->bitrate = START;
    look(own, now);
    weigh_losses(own, now);
    grow(own, now);
}

/* -- what Python calls ------------------------------------------------------------------------------------------------- */

/* Take what the flight makes of arrivals (`packets_told`): for feedback that is not plain. 0 for wrong arguments. */
int packets_arrived(int number, int32_t reference, const struct piece *pieces, int count, int lost, double now)
{
    struct estimator *own = estimator_of(number);
    if (own == NULL || count < 0)
        return 0;
    estimate_arrived(own, reference, pieces, count, lost, now);
    return 1;
}

/* Take the far end's own estimate, bits per second. */
int packets_bounded(int number, double bitrate, double now)
{
    struct estimator *own = estimator_of(number);
    if (own == NULL)
        return 0;
    own->bound = most(bitrate, LEAST);
    own->bound_at = now;
    own->some_bound = 1;
    return 1;
}

/* Take the worst loss of a receiver report, of a session without transport-wide feedback. */
int packets_reported(int number, double fraction, double sent_bps, double now)
{
    struct estimator *own = estimator_of(number);
    if (own == NULL)
        return 0;
    double passed = passed_since_growth(own, now, 5.0);
    double before = own->fraction_lost < 0 ? 0.0 : own->fraction_lost;
    if (own->bitrate < 0 && fraction > TOO_MUCH_LOSS && before > LITTLE_LOSS)
        own->bitrate = most(sent_bps, LEAST);
    else if (own->bitrate >= 0 && fraction < LITTLE_LOSS)
        own->bitrate = least(own->bitrate * pow(GROWTH_A_S, passed), MOST);
    judge_loss(own, fraction, sent_bps * (1 - fraction), now);
    return 1;
}

/* Write the estimate, bits per second, and the share of lost packets; each negative where nothing was heard yet. */
int packets_estimate(int number, double now, double *found)
{
    struct estimator *own = estimator_of(number);
    found[0] = found[1] = -1;
    if (own == NULL)
        return 0;
    int bounded = own->some_bound && now - own->bound_at <= BOUND_S;
    found[0] = own->bitrate;
    if (bounded)
        found[0] = own->bitrate < 0 ? own->bound : least(own->bitrate, own->bound);
    found[1] = own->fraction_lost;
    return 1;
}
