/*
 * Checks vectors on the side of the firmware: SHA-512, HMAC and HKDF from their definitions, and a TLV8 reader, run over
 * the cases of an exported header. Prints one line a mistake; ends with 0 when there is none.
 */
#include <stdio.h>
#include <stdlib.h>
#include "hapspec_vectors.h"

/* ---- SHA-512 (FIPS 180-4): the constants are the first bits of roots of primes, found here */

static uint64_t round_constants[80];
static uint64_t initial[8];

typedef struct { uint64_t high, low; } u128;

static u128 multiply(uint64_t a, uint64_t b)
{
    uint64_t al = a & 0xffffffffu, ah = a >> 32, bl = b & 0xffffffffu, bh = b >> 32;
    uint64_t ll = al * bl, lh = al * bh, hl = ah * bl, hh = ah * bh;
    uint64_t middle = (ll >> 32) + (lh & 0xffffffffu) + (hl & 0xffffffffu);
    u128 product;
    product.low = (middle << 32) | (ll & 0xffffffffu);
    product.high = hh + (lh >> 32) + (hl >> 32) + (middle >> 32);
    return product;
}

/* Whether (whole + fraction / 2^64) to the power of 2 or 3 is not above p; 256-bit numbers in four 64-bit words. */
static int root_not_above(uint64_t whole, uint64_t fraction, unsigned int power, uint64_t p)
{
    uint64_t number[2], value[8] = { 0 };
    number[0] = fraction;
    number[1] = whole;
    value[0] = fraction;
    value[1] = whole;
    for (unsigned int step = 1; step < power; step++) {
        uint64_t next[8] = { 0 };
        for (int i = 0; i < 6; i++)
            for (int j = 0; j < 2; j++) {
                u128 product = multiply(value[i], number[j]);
                uint64_t parts[2];
                uint64_t carry = 0;
                parts[0] = product.low;
                parts[1] = product.high;
                for (int k = i + j; k < 8; k++) {
                    uint64_t add = k - i - j < 2 ? parts[k - i - j] : 0;
                    uint64_t sum = next[k] + add;
                    uint64_t over = sum < add;
                    sum += carry;
                    over += sum < carry;
                    next[k] = sum;
                    carry = over;
                }
            }
        memcpy(value, next, sizeof value);
    }
    for (int i = 7; i > (int)power; i--)
        if (value[i] != 0)
            return 0;
    return value[power] < p || (value[power] == p && value[0] == 0 && value[1] == 0 && (power < 3 || value[2] == 0));
}

static uint64_t root_bits(uint64_t p, unsigned int power)
{
    uint64_t whole = 1, fraction = 0;
    while (root_not_above(whole + 1, 0, power, p))
        whole++;
    for (int bit = 63; bit >= 0; bit--)
        if (root_not_above(whole, fraction | (uint64_t)1 << bit, power, p))
            fraction |= (uint64_t)1 << bit;
    return fraction;
}

static void find_constants(void)
{
    int count = 0;
    for (uint64_t p = 2; count < 80; p++) {
        int prime = 1;
        for (uint64_t d = 2; d * d <= p; d++)
            if (p % d == 0)
                prime = 0;
        if (!prime)
            continue;
        if (count < 8)
            initial[count] = root_bits(p, 2);
        round_constants[count++] = root_bits(p, 3);
    }
}

static uint64_t rotate(uint64_t x, int n)
{
    return x >> n | x << (64 - n);
}

static void block(uint64_t state[8], const uint8_t *data)
{
    uint64_t w[80], s[8];
    for (int i = 0; i < 16; i++) {
        w[i] = 0;
        for (int j = 0; j < 8; j++)
            w[i] = w[i] << 8 | data[8 * i + j];
    }
    for (int i = 16; i < 80; i++) {
        uint64_t a = rotate(w[i - 15], 1) ^ rotate(w[i - 15], 8) ^ w[i - 15] >> 7;
        uint64_t b = rotate(w[i - 2], 19) ^ rotate(w[i - 2], 61) ^ w[i - 2] >> 6;
        w[i] = w[i - 16] + a + w[i - 7] + b;
    }
    memcpy(s, state, sizeof s);
    for (int i = 0; i < 80; i++) {
        uint64_t e = rotate(s[4], 14) ^ rotate(s[4], 18) ^ rotate(s[4], 41);
        uint64_t a = rotate(s[0], 28) ^ rotate(s[0], 34) ^ rotate(s[0], 39);
        uint64_t t1 = s[7] + e + ((s[4] & s[5]) ^ (~s[4] & s[6])) + round_constants[i] + w[i];
        uint64_t t2 = a + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof s[0]);
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        state[i] += s[i];
}

static void sha512(const uint8_t *data, size_t size, uint8_t out[64])
{
    uint64_t state[8];
    uint8_t tail[256] = { 0 };
    size_t whole = size / 128 * 128, rest = size - whole, padded = rest < 112 ? 128 : 256;
    memcpy(state, initial, sizeof state);
    for (size_t at = 0; at < whole; at += 128)
        block(state, data + at);
    if (rest > 0)
        memcpy(tail, data + whole, rest);
    tail[rest] = 0x80;
    for (int i = 0; i < 8; i++)
        tail[padded - 1 - (size_t)i] = (uint8_t)((uint64_t)size * 8 >> 8 * i);
    for (size_t at = 0; at < padded; at += 128)
        block(state, tail + at);
    for (int i = 0; i < 64; i++)
        out[i] = (uint8_t)(state[i / 8] >> (56 - 8 * (i % 8)));
}

static void hmac(const uint8_t *key, size_t key_size, const uint8_t *data, size_t size, uint8_t out[64])
{
    uint8_t *text = malloc(128 + size);
    uint8_t outer[192], padded[128] = { 0 };
    if (text == NULL)
        exit(2);
    if (key_size > 128)
        sha512(key, key_size, padded);
    else if (key_size > 0)
        memcpy(padded, key, key_size);
    for (int i = 0; i < 128; i++) {
        text[i] = padded[i] ^ 0x36;
        outer[i] = padded[i] ^ 0x5c;
    }
    if (size > 0)
        memcpy(text + 128, data, size);
    sha512(text, 128 + size, outer + 128);
    sha512(outer, 192, out);
    free(text);
}

/* HKDF of up to 64 bytes: one block is enough. */
static void hkdf(const hapspec_field_t *ikm, const char *salt, const char *info, uint8_t out[64])
{
    uint8_t secret[64], text[256];
    size_t size = strlen(info);
    hmac((const uint8_t *)salt, strlen(salt), ikm->bytes, ikm->size, secret);
    memcpy(text, info, size);
    text[size] = 1;
    hmac(secret, 64, text, size + 1, out);
}

/* ---- */

static int mistakes, checked;

static void expect(const hapspec_case_t *vector, int holds, const char *what)
{
    checked++;
    if (holds)
        return;
    mistakes++;
    printf("%s %s %u: %s\n", vector->kind, vector->type, vector->id, what);
}

static void check_hkdf(const hapspec_case_t *vector)
{
    uint8_t key[64];
    const hapspec_field_t *given = hapspec_field(vector, "key");
    const hapspec_field_t *right = hapspec_field(vector, "right");
    hkdf(hapspec_field(vector, "ikm"), hapspec_field(vector, "salt")->text, hapspec_field(vector, "info")->text, key);
    expect(vector, given->size == hapspec_field(vector, "size")->number, "size of the key");
    expect(vector, (memcmp(key, given->bytes, given->size) == 0) == (vector->result == HAPSPEC_VALID), "key");
    if (right != NULL)
        expect(vector, memcmp(key, right->bytes, right->size) == 0, "right key");
}

/* Joins fragments and compares each item with the case's; whether the bytes are TLV8 to their end. */
static int read_tlv(const hapspec_case_t *vector, const hapspec_field_t *encoded)
{
    static uint8_t value[70000];
    size_t at = 0, size = 0;
    unsigned int count = 0;
    int type = -1, continues = 0;
    char name[40];
    for (;;) {
        int end = at >= encoded->size;
        int broken = !end && (encoded->size - at < 2 || encoded->size - at - 2 < encoded->bytes[at + 1]);
        int next = end || broken ? -1 : encoded->bytes[at];
        if (type >= 0 && !(continues && next == type)) {
            const hapspec_field_t *field;
            sprintf(name, "items[%u].type", count);
            field = hapspec_field(vector, name);
            expect(vector, field != NULL && (int)field->number == type, "type of an item");
            sprintf(name, "items[%u].value", count++);
            field = hapspec_field(vector, name);
            expect(vector, field != NULL && field->size == size && memcmp(field->bytes, value, size) == 0, "value of an item");
            size = 0;
        }
        if (next < 0) {
            sprintf(name, "items[%u].type", count);
            expect(vector, hapspec_field(vector, name) == NULL, "number of items");
            return !broken;
        }
        type = next;
        memcpy(value + size, encoded->bytes + at + 2, encoded->bytes[at + 1]);
        size += encoded->bytes[at + 1];
        continues = encoded->bytes[at + 1] == 255;
        at += 2 + (size_t)encoded->bytes[at + 1];
    }
}

static void check_size(const hapspec_case_t *vector, const char *name, size_t least, size_t most)
{
    const hapspec_field_t *field = hapspec_field(vector, name);
    expect(vector, field != NULL && field->size >= least && field->size <= most, name);
}

static void check_srp(const hapspec_case_t *vector)
{
    uint8_t hash[64];
    const hapspec_field_t *S = hapspec_field(vector, "S"), *K = hapspec_field(vector, "K");
    check_size(vector, "salt", 16, 16);
    check_size(vector, "x", 64, 64);
    check_size(vector, "v", 384, 384);
    check_size(vector, "A", 1, 384);
    check_size(vector, "B", 1, 384);
    check_size(vector, "S", 384, 384);
    check_size(vector, "K", 60, 64);
    check_size(vector, "M1", 64, 64);
    check_size(vector, "M2", 64, 64);
    /* With S[0] != 0 every convention has K = SHA-512(S), but for the one that drops zero bytes of K. */
    sha512(S->bytes, 384, hash);
    if (S->bytes[0] != 0 && K->size == 64)
        expect(vector, memcmp(hash, K->bytes, 64) == 0, "K is not SHA-512 of S");
}

int main(void)
{
    uint8_t abc[64];
    find_constants();
    sha512((const uint8_t *)"abc", 3, abc);
    if (abc[0] != 0xdd || abc[1] != 0xaf || abc[63] != 0x9f) {
        printf("SHA-512 of this program is wrong\n");
        return 2;
    }
    for (size_t i = 0; i < HAPSPEC_CASE_COUNT; i++) {
        const hapspec_case_t *vector = &hapspec_cases[i];
        if (strcmp(vector->type, "HkdfLabel") == 0)
            check_hkdf(vector);
        else if (strcmp(vector->type, "TlvCodec") == 0)
            expect(vector, read_tlv(vector, hapspec_field(vector, "encoded")) == (vector->result != HAPSPEC_INVALID), "well-formed or not");
        else if (strcmp(vector->type, "SrpSession") == 0)
            check_srp(vector);
    }
    printf("%u cases, %d checks, %d mistakes\n", (unsigned int)HAPSPEC_CASE_COUNT, checked, mistakes);
    return mistakes == 0 ? 0 : 1;
}
