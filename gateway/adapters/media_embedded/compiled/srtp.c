/* SRTP with AES-GCM (RFC 3711, RFC 7714): keys, replay check, decryption and encryption. The cipher is OpenSSL's. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "packets.h"

#define CONTROL_HEADER 8
#define CONTROL_TRAILER 4
#define ENCRYPTED 0x80000000u /* the E flag before the 31 bits of an SRTCP index */
#define WINDOW 1024
#define MAX_SOURCES 256
#define MAX_SESSIONS 16384

/* -- OpenSSL, found at run time: no headers are needed to build, and none of its versions is tied in ---------------- */

typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct evp_cipher_st EVP_CIPHER;
typedef struct evp_md_st EVP_MD;
typedef struct engine_st ENGINE;

#define EVP_CTRL_GCM_GET_TAG 0x10 /* openssl/evp.h */
#define EVP_CTRL_GCM_SET_TAG 0x11

static EVP_CIPHER_CTX *(*new_context)(void);
static void (*free_context)(EVP_CIPHER_CTX *);
static const EVP_CIPHER *(*aes_128_gcm)(void), *(*aes_256_gcm)(void);
static int (*cipher_init)(EVP_CIPHER_CTX *, const EVP_CIPHER *, ENGINE *, const uint8_t *, const uint8_t *, int);
static int (*cipher_update)(EVP_CIPHER_CTX *, uint8_t *, int *, const uint8_t *, int);
static int (*cipher_final)(EVP_CIPHER_CTX *, uint8_t *, int *);
static int (*cipher_control)(EVP_CIPHER_CTX *, int, int, void *);
static const EVP_MD *(*sha1)(void);
static uint8_t *(*hmac)(const EVP_MD *, const void *, int, const uint8_t *, size_t, uint8_t *, unsigned *);

static int bind_symbol(void *library, const char *name, void *place)
{
    void *found = dlsym(library, name);
    memcpy(place, &found, sizeof found);
    return found != NULL;
}

/* Find the cipher; 1 where all of it is there. May be called again. */
int packets_bind(const char *crypto)
{
    void *library = dlopen(crypto, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return 0;
    return bind_symbol(library, "EVP_CIPHER_CTX_new", &new_context)
           && bind_symbol(library, "EVP_CIPHER_CTX_free", &free_context)
           && bind_symbol(library, "EVP_aes_128_gcm", &aes_128_gcm)
           && bind_symbol(library, "EVP_aes_256_gcm", &aes_256_gcm)
           && bind_symbol(library, "EVP_CipherInit_ex", &cipher_init)
           && bind_symbol(library, "EVP_CipherUpdate", &cipher_update)
           && bind_symbol(library, "EVP_CipherFinal_ex", &cipher_final)
           && bind_symbol(library, "EVP_CIPHER_CTX_ctrl", &cipher_control) && bind_symbol(library, "EVP_sha1", &sha1)
           && bind_symbol(library, "HMAC", &hmac);
}

int hmac_sha1(const uint8_t *key, int key_length, const uint8_t *data, size_t length, uint8_t *out)
{
    unsigned size = 0;
    return hmac(sha1(), key, key_length, data, length, out, &size) != NULL;
}

/* -- sessions ------------------------------------------------------------------------------------------------------ */

struct window { /* the highest index of one SSRC, and which of the last ones came */
    int64_t highest;
    uint32_t ssrc;
    uint64_t seen[WINDOW / 64];
};

struct table {
    struct window *windows[MAX_SOURCES];
    int count;
};

struct session {
    EVP_CIPHER_CTX *sending, *receiving, *control;
    uint8_t sending_salt[SALT], receiving_salt[SALT], control_salt[SALT];
    struct table sources, reporters;
    struct flight flight;
    struct estimator estimator;
    struct heard heard;
    struct lane lanes[MAX_LANES];
    struct consent consent;
};

static struct session *sessions[MAX_SESSIONS];

struct session *session_of(int number)
{
    return number >= 0 && number < MAX_SESSIONS ? sessions[number] : NULL;
}

struct flight *flight_of(int number)
{
    struct session *session = session_of(number);
    return session == NULL ? NULL : &session->flight;
}

struct estimator *estimator_of(int number)
{
    struct session *session = session_of(number);
    return session == NULL ? NULL : &session->estimator;
}

struct heard *heard_of(int number)
{
    struct session *session = session_of(number);
    return session == NULL ? NULL : &session->heard;
}

struct consent *consent_of(struct session *session)
{
    return &session->consent;
}

struct lane *lanes_of(struct session *session)
{
    return session->lanes;
}

static void forget_windows(struct table *table)
{
    for (int place = 0; place < table->count; place++)
        free(table->windows[place]);
}

static void free_session(struct session *session)
{
    EVP_CIPHER_CTX *contexts[] = {session->sending, session->receiving, session->control};
    for (int place = 0; place < 3; place++)
        if (contexts[place] != NULL)
            free_context(contexts[place]);
    forget_windows(&session->sources);
    forget_windows(&session->reporters);
    flight_end(&session->flight);
    free(session);
}

static EVP_CIPHER_CTX *context_of(const uint8_t *key, int key_length, int encrypting)
{
    EVP_CIPHER_CTX *context = new_context();
    const EVP_CIPHER *cipher = key_length == 16 ? aes_128_gcm() : aes_256_gcm();
    if (context != NULL && cipher_init(context, cipher, NULL, key, NULL, encrypting) != 1) {
        free_context(context);
        return NULL;
    }
    return context;
}

/*
 * Begin a session; `keys` are three of `key_length` bytes (16 or 32), each followed by its salt: for sending RTP, for
 * receiving RTP, for receiving RTCP. Returns its number, -1 where there is no room.
 */
int packets_open(const uint8_t *keys, int key_length)
{
    int number = 0;
    if (new_context == NULL || (key_length != 16 && key_length != 32))
        return -1;
    while (number < MAX_SESSIONS && sessions[number] != NULL)
        number++;
    struct session *session = number < MAX_SESSIONS ? calloc(1, sizeof *session) : NULL;
    if (session == NULL)
        return -1;
    EVP_CIPHER_CTX **contexts[] = {&session->sending, &session->receiving, &session->control};
    uint8_t *salts[] = {session->sending_salt, session->receiving_salt, session->control_salt};
    for (int place = 0; place < 3; place++, keys += key_length + SALT) {
        *contexts[place] = context_of(keys, key_length, place == 0);
        memcpy(salts[place], keys + key_length, SALT);
        if (*contexts[place] == NULL) {
            free_session(session);
            return -1;
        }
    }
    session->flight.highest = -1;
    session->consent.heard.nominated_at = -1;
    estimate_begin(&session->estimator);
    sessions[number] = session;
    return number;
}

/* End a session; a number that names none is no error. */
void packets_close(int number)
{
    struct session *session = session_of(number);
    if (session != NULL) {
        sessions[number] = NULL;
        free_session(session);
    }
}

/* -- the replay check (RFC 3711 section 3.3) ------------------------------------------------------------------------- */

static struct window *window_of(struct table *table, uint32_t ssrc)
{
    for (int place = 0; place < table->count; place++)
        if (table->windows[place]->ssrc == ssrc)
            return table->windows[place];
    return NULL;
}

static struct window *begin_window(struct table *table, uint32_t ssrc, int64_t first)
{
    if (table->count >= MAX_SOURCES)
        return NULL;
    struct window *window = calloc(1, sizeof *window);
    if (window == NULL)
        return NULL;
    window->ssrc = ssrc;
    window->highest = first;
    table->windows[table->count++] = window;
    return window;
}

/* Guess the whole index from its low 16 bits: the one nearest to the highest. */
static int64_t guess_index(const struct window *window, uint16_t sequence)
{
    int64_t guess = window->highest + (((int64_t)sequence - window->highest + 0x8000) & 0xFFFF) - 0x8000;
    return guess >= 0 ? guess : guess + 0x10000;
}

static int is_fresh(const struct window *window, int64_t index)
{
    if (index > window->highest)
        return 1;
    if (index <= window->highest - WINDOW)
        return 0;
    return !(window->seen[index % WINDOW / 64] >> (index % 64) & 1);
}

static void take_index(struct window *window, int64_t index)
{
    if (index - window->highest >= WINDOW)
        memset(window->seen, 0, sizeof window->seen);
    else
        for (int64_t passed = window->highest + 1; passed <= index; passed++)
            window->seen[passed % WINDOW / 64] &= ~((uint64_t)1 << (passed % 64));
    window->seen[index % WINDOW / 64] |= (uint64_t)1 << (index % 64);
    if (index > window->highest)
        window->highest = index;
}

/* -- AES-GCM --------------------------------------------------------------------------------------------------------- */

/* RFC 7714 sections 8.1 and 9.1: the salt, with SSRC and index laid over its last ten bytes. */
static void nonce_of(uint8_t *nonce, const uint8_t *salt, uint32_t ssrc, uint64_t index)
{
    uint8_t over[SALT] = {0};
    uint32_t source = htobe32(ssrc);
    uint64_t number = htobe64(index << 16);
    memcpy(over + 2, &source, 4);
    memcpy(over + 6, &number, 6);
    for (int place = 0; place < SALT; place++)
        nonce[place] = salt[place] ^ over[place];
}

/* Decrypt `length` bytes, whose tag stands behind them; the head comes in two parts. 0 where it is not authentic. */
static int decrypt(EVP_CIPHER_CTX *context, const uint8_t *nonce, const uint8_t *head, int head_length,
                   const uint8_t *more, int more_length, const uint8_t *secret, int length, uint8_t *out)
{
    int some = 0;
    uint8_t tag[TAG];
    memcpy(tag, secret + length, TAG);
    return cipher_init(context, NULL, NULL, NULL, nonce, 0) == 1
           && cipher_update(context, NULL, &some, head, head_length) == 1
           && (more_length == 0 || cipher_update(context, NULL, &some, more, more_length) == 1)
           && (length == 0 || cipher_update(context, out, &some, secret, length) == 1)
           && cipher_control(context, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1
           && cipher_final(context, out + length, &some) == 1;
}

int seal(struct session *session, uint32_t ssrc, uint64_t index, const uint8_t *head, int head_length,
         const uint8_t *plain, int length, uint8_t *out)
{
    int some = 0;
    uint8_t nonce[SALT];
    EVP_CIPHER_CTX *context = session->sending;
    nonce_of(nonce, session->sending_salt, ssrc, index);
    return cipher_init(context, NULL, NULL, NULL, nonce, 1) == 1
           && cipher_update(context, NULL, &some, head, head_length) == 1
           && cipher_update(context, out, &some, plain, length) == 1
           && cipher_final(context, out + length, &some) == 1
           && cipher_control(context, EVP_CTRL_GCM_GET_TAG, TAG, out + length) == 1;
}

/* -- reading --------------------------------------------------------------------------------------------------------- */

/* Find where the payload begins; -1 where the head is longer than the packet. */
static int head_length_of(const uint8_t *data, int length, struct packet *packet)
{
    int at = HEADER + 4 * (data[0] & 15);
    if (data[0] & 0x10) {
        if (at + 4 > length)
            return -1;
        packet->block_at = (uint32_t)at;
        at += 4 + 4 * (data[at + 2] << 8 | data[at + 3]);
        packet->block_length = (uint32_t)at - packet->block_at;
    }
    return at <= length ? at : -1;
}

static int unpad(struct packet *packet, const uint8_t *payload)
{
    uint32_t length = packet->payload_length;
    if (length == 0 || payload[length - 1] == 0 || payload[length - 1] > length)
        return MALFORMED;
    packet->payload_length = length - payload[length - 1];
    return TAKEN;
}

static int read_one(struct session *session, const uint8_t *data, int length, uint8_t *out, struct packet *packet)
{
    uint8_t nonce[SALT];
    if (length < HEADER)
        return MALFORMED;
    int at = head_length_of(data, length, packet);
    if (at < 0)
        return MALFORMED;
    packet->payload_type = data[1] & 0x7F;
    packet->marker = data[1] >> 7;
    packet->sequence = (uint16_t)(data[2] << 8 | data[3]);
    memcpy(&packet->timestamp, data + 4, 4);
    memcpy(&packet->ssrc, data + 8, 4);
    packet->timestamp = be32toh(packet->timestamp);
    packet->ssrc = be32toh(packet->ssrc);
    struct window *window = window_of(&session->sources, packet->ssrc);
    int64_t index = window == NULL ? packet->sequence : guess_index(window, packet->sequence);
    if (window != NULL && !is_fresh(window, index))
        return REPLAY;
    if (length - at < TAG)
        return SPOOFED;
    nonce_of(nonce, session->receiving_salt, packet->ssrc, (uint64_t)index);
    packet->payload_length = (uint32_t)(length - at - TAG);
    if (!decrypt(session->receiving, nonce, data, at, NULL, 0, data + at, length - at - TAG, out))
        return SPOOFED;
    if (window == NULL && (window = begin_window(&session->sources, packet->ssrc, index)) == NULL)
        return TOO_MANY_SOURCES;
    take_index(window, index);
    return data[0] & 0x20 ? unpad(packet, out) : TAKEN;
}

void read_packet(int number, const uint8_t *data, int length, uint8_t *out, struct packet *packet)
{
    struct session *session = session_of(number);
    memset(packet, 0, sizeof *packet);
    packet->status = (uint8_t)(session == NULL ? BROKEN : read_one(session, data, length, out, packet));
}

/*
 * Check, decrypt and read `count` RTP packets of a session, which stand one after the other in `data`. What came of
 * each is in `packets`: blocks lie in `data`, payloads in `out`, which is as large as `data`. 0 for wrong arguments.
 */
int packets_read(int number, const uint8_t *data, size_t size, const uint16_t *lengths, int count, uint8_t *out,
                 size_t out_size, struct packet *packets)
{
    struct session *session = session_of(number);
    size_t at = 0;
    if (session == NULL || count < 0 || out_size < size)
        return 0;
    for (int place = 0; place < count; place++) {
        struct packet *packet = &packets[place];
        memset(packet, 0, sizeof *packet);
        if (lengths[place] > size - at)
            return 0;
        packet->status = (uint8_t)read_one(session, data + at, lengths[place], out + at, packet);
        packet->payload_at = (uint32_t)at;
        packet->block_at += (uint32_t)at;
        at += lengths[place];
    }
    return 1;
}

/* Return the index of an SRTCP datagram; -1 where it is not encrypted. */
static int64_t control_index(const uint8_t *data, int length, uint32_t *ssrc)
{
    uint32_t word;
    memcpy(ssrc, data + 4, 4);
    memcpy(&word, data + length - CONTROL_TRAILER, 4);
    *ssrc = be32toh(*ssrc);
    word = be32toh(word);
    return word & ENCRYPTED ? (int64_t)(word & ~ENCRYPTED) : -1;
}

int open_control(struct session *session, const uint8_t *data, int length, uint8_t *out, size_t out_size)
{
    uint8_t nonce[SALT];
    uint32_t ssrc;
    if (session == NULL || length < CONTROL_HEADER + TAG + CONTROL_TRAILER || out_size < (size_t)length)
        return -BROKEN;
    int64_t index = control_index(data, length, &ssrc);
    if (index < 0)
        return -BROKEN;
    struct window *window = window_of(&session->reporters, ssrc);
    if (window != NULL && !is_fresh(window, index))
        return -REPLAY;
    int secret = length - CONTROL_HEADER - TAG - CONTROL_TRAILER;
    nonce_of(nonce, session->control_salt, ssrc, (uint64_t)index);
    memcpy(out, data, CONTROL_HEADER);
    if (!decrypt(session->control, nonce, data, CONTROL_HEADER, data + length - CONTROL_TRAILER, CONTROL_TRAILER,
                 data + CONTROL_HEADER, secret, out + CONTROL_HEADER))
        return -SPOOFED;
    return CONTROL_HEADER + secret;
}

int take_control(struct session *session, const uint8_t *data, int length)
{
    uint32_t ssrc;
    int64_t index = control_index(data, length, &ssrc);
    struct window *window = window_of(&session->reporters, ssrc);
    if (window == NULL && (window = begin_window(&session->reporters, ssrc, index)) == NULL)
        return 0;
    take_index(window, index);
    return 1;
}

int packets_read_control(int number, const uint8_t *data, int length, uint8_t *out, size_t out_size)
{
    struct session *session = session_of(number);
    int size = open_control(session, data, length, out, out_size);
    if (size >= 0 && !take_control(session, data, length))
        return -TOO_MANY_SOURCES;
    return size;
}
