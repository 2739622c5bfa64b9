/*
 * Checks by which a peer goes on consenting to our media (RFC 7675, RFC 8445 section 2.5), answered where they come in:
 * those of the selected address that change nothing but when it was heard. Mirrors `rules/stun` and `ice.LiteAgent`; any
 * other message goes to them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "packets.h"

#define STUN_HEADER 20
#define COOKIE 0x2112A442u
#define REQUEST 0x0001
#define SUCCESS 0x0101
#define MAPPED 0x0001
#define USERNAME 0x0006
#define INTEGRITY 0x0008
#define ERROR_CODE 0x0009
#define UNKNOWN_ATTRIBUTES 0x000A
#define XOR_MAPPED 0x0020
#define PRIORITY 0x0024
#define USE_CANDIDATE 0x0025
#define FINGERPRINT 0x8028
#define FINGERPRINT_XOR 0x5354554Eu
#define OPTIONAL 0x8000
#define ICE_CONTROLLED 0x8029
#define SHA1 20
#define LONGEST_ANSWER (STUN_HEADER + 24 + 4 + SHA1 + 8)

static uint16_t two(const uint8_t *data)
{
    return (uint16_t)(data[0] << 8 | data[1]);
}

static uint32_t four(const uint8_t *data)
{
    return (uint32_t)two(data) << 16 | two(data + 2);
}

static void put_two(uint8_t *data, uint32_t value)
{
    data[0] = (uint8_t)(value >> 8);
    data[1] = (uint8_t)value;
}

static void put_four(uint8_t *data, uint32_t value)
{
    put_two(data, value >> 16);
    put_two(data + 2, value & 0xFFFF);
}

/* As zlib has it. */
static uint32_t crc_of(const uint8_t *data, int length)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (int place = 0; place < length; place++) {
        crc ^= data[place];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

struct check { /* a binding request, read */
    int integrity_at, user_at, user_length, nominates;
    uint32_t priority;
};

/* Take one attribute before MESSAGE-INTEGRITY; 0 where somebody else must see the message. The first of a kind counts. */
static int take_attribute(struct check *check, const uint8_t *data, int at, int kind, int size)
{
    switch (kind) {
    case USERNAME:
        if (check->user_at == 0) {
            check->user_at = at + 4;
            check->user_length = size;
        }
        return 1;
    case PRIORITY:
        if (check->priority == 0 && size == 4)
            check->priority = four(data + at + 4);
        return size == 4 && check->priority != 0; /* whatever is odd is for the rules */
    case USE_CANDIDATE:
        check->nominates = 1;
        return 1;
    case INTEGRITY:
        check->integrity_at = at;
        return size == SHA1;
    case MAPPED:
    case ERROR_CODE:
    case UNKNOWN_ATTRIBUTES:
    case XOR_MAPPED:
        return 1;
    default:
        return kind >= OPTIONAL && kind != ICE_CONTROLLED;
    }
}

/* Read a binding request that is as it should be; 0 for any other message. */
static int read_check(const uint8_t *data, int length, struct check *check)
{
    int at = STUN_HEADER;
    memset(check, 0, sizeof *check);
    if (length < STUN_HEADER || two(data) != REQUEST || four(data + 4) != COOKIE || length & 3
        || two(data + 2) + STUN_HEADER != length)
        return 0;
    while (at + 4 <= length) {
        int kind = two(data + at), size = two(data + at + 2);
        if (at + 4 + size > length)
            return 0;
        if (kind == FINGERPRINT) {
            if (size != 4 || at + 8 != length || four(data + at + 4) != (crc_of(data, at) ^ FINGERPRINT_XOR))
                return 0;
        } else if (check->integrity_at == 0 && !take_attribute(check, data, at, kind, size)) {
            return 0;
        }
        at += 4 + ((size + 3) & ~3);
    }
    return at == length && check->integrity_at && check->user_at;
}

/* Work out MESSAGE-INTEGRITY of a message up to `at`, where it stands (RFC 8489 section 14.5). */
static int sign(const struct consent *own, const uint8_t *data, int at, uint8_t *out)
{
    uint8_t covered[LONGEST];
    memcpy(covered, data, (size_t)at);
    put_two(covered + 2, (uint32_t)(at + 4 + SHA1 - STUN_HEADER));
    return hmac_sha1(own->password, own->password_length, covered, (size_t)at, out);
}

static int is_authentic(const struct consent *own, const uint8_t *data, const struct check *check)
{
    uint8_t wanted[SHA1], differing = 0;
    const uint8_t *user = data + check->user_at, *given = data + check->integrity_at + 4;
    const uint8_t *colon = memchr(user, ':', (size_t)check->user_length);
    size_t length = colon == NULL ? (size_t)check->user_length : (size_t)(colon - user);
    if (length != own->user_length || memcmp(user, own->user, length) != 0
        || !sign(own, data, check->integrity_at, wanted))
        return 0;
    for (int place = 0; place < SHA1; place++)
        differing |= wanted[place] ^ given[place];
    return !differing;
}

/* Write XOR-MAPPED-ADDRESS (RFC 8489 section 14.2) behind `at`; returns where it ends. */
static int put_mapped(uint8_t *out, int at, const uint8_t *address)
{
    struct sockaddr_in plain;
    struct sockaddr_in6 wide;
    memcpy(&plain, address, sizeof plain);
    memcpy(&wide, address, sizeof wide);
    int is_wide = plain.sin_family == AF_INET6, size = is_wide ? 16 : 4;
    const uint8_t *host = is_wide ? (const uint8_t *)&wide.sin6_addr : (const uint8_t *)&plain.sin_addr;
    put_two(out + at, XOR_MAPPED);
    put_two(out + at + 2, (uint32_t)(4 + size));
    put_two(out + at + 4, is_wide ? 2 : 1);
    put_two(out + at + 6, (uint32_t)ntohs(is_wide ? wide.sin6_port : plain.sin_port) ^ COOKIE >> 16);
    for (int place = 0; place < size; place++)
        out[at + 8 + place] = host[place] ^ out[4 + place]; /* cookie and transaction stand there */
    return at + 8 + size;
}

/* Write the answer to a check that came from `address`; returns its length, 0 where it cannot be signed. */
static int answer(const struct consent *own, const uint8_t *request, const uint8_t *address, uint8_t *out)
{
    memcpy(out, request, STUN_HEADER);
    put_two(out, SUCCESS);
    int at = put_mapped(out, STUN_HEADER, address);
    put_two(out + at, INTEGRITY);
    put_two(out + at + 2, SHA1);
    if (!sign(own, out, at, out + at + 4))
        return 0;
    at += 4 + SHA1;
    put_two(out + 2, (uint32_t)(at + 8 - STUN_HEADER));
    put_two(out + at, FINGERPRINT);
    put_two(out + at + 2, 4);
    put_four(out + at + 4, crc_of(out, at) ^ FINGERPRINT_XOR);
    return at + 8;
}

int consent_took(struct session *session, int socket, const uint8_t *address, socklen_t address_length,
                 const uint8_t *data, int length, double now, int32_t *failed)
{
    struct consent *own = consent_of(session);
    struct check check;
    uint8_t out[LONGEST_ANSWER];
    if (!own->open || memcmp(own->address, address, MAX_ADDRESS) != 0 || !read_check(data, length, &check)
        || !is_authentic(own, data, &check))
        return 0;
    int size = answer(own, data, address, out);
    if (size == 0)
        return 0;
    if (sendto(socket, out, (size_t)size, 0, (const struct sockaddr *)address, address_length) < 0)
        failed[errno == EAGAIN || errno == EWOULDBLOCK ? 0 : 1]++;
    own->heard.count++;
    own->heard.at = now;
    own->heard.priority = check.priority;
    if (check.nominates)
        own->heard.nominated_at = now;
    return 1;
}

/*
 * Answer checks of a session's peer from now on: those from this address, of this user, with this password. No user: none
 * at all. What was heard before stays to be asked for. 0 for wrong arguments.
 */
int packets_consent(int number, const uint8_t *address, const uint8_t *user, int user_length, const uint8_t *password,
                    int password_length)
{
    struct session *session = session_of(number);
    if (session == NULL || user_length < 0 || user_length > MAX_USER || password_length < 0
        || password_length > MAX_PASSWORD)
        return 0;
    struct consent *own = consent_of(session);
    own->open = user_length > 0;
    memcpy(own->address, address, MAX_ADDRESS);
    memcpy(own->user, user, (size_t)user_length);
    memcpy(own->password, password, (size_t)password_length);
    own->user_length = (uint16_t)user_length;
    own->password_length = (uint16_t)password_length;
    return 1;
}

/* Return what was heard of checks since the last call, and forget it. 0 for a session that does not exist. */
int packets_consented(int number, struct checked *found)
{
    struct session *session = session_of(number);
    *found = (struct checked){0};
    if (session == NULL)
        return 0;
    struct consent *own = consent_of(session);
    *found = own->heard;
    own->heard = (struct checked){.nominated_at = -1};
    return 1;
}
