#include "CMD5.h"

#include <string.h>

/* RFC 1321, 3.4: the constants of each step, the sines of 1 to 64. */
static const uint32_t sines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

/* How far each step rotates, by round and step within four. */
static const int rotations[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

typedef uint32_t words8 __attribute__((vector_size(32)));

/* Turns the rows of an 8 by 8 square into its columns: pairs of rows, then of pairs, then of fours. */
#define transpose(rows)                                                                                                \
    do {                                                                                                               \
        words8 pairs[8], fours[8];                                                                                     \
        for (int row = 0; row < 8; row += 2) {                                                                         \
            pairs[row] = __builtin_shufflevector(rows[row], rows[row + 1], 0, 8, 1, 9, 4, 12, 5, 13);                  \
            pairs[row + 1] = __builtin_shufflevector(rows[row], rows[row + 1], 2, 10, 3, 11, 6, 14, 7, 15);            \
        }                                                                                                              \
        for (int row = 0; row < 8; row += 4) {                                                                         \
            for (int side = 0; side < 2; side++) {                                                                     \
                words8 upper = pairs[row + side], lower = pairs[row + side + 2];                                       \
                fours[row + side * 2] = __builtin_shufflevector(upper, lower, 0, 1, 8, 9, 4, 5, 12, 13);               \
                fours[row + side * 2 + 1] = __builtin_shufflevector(upper, lower, 2, 3, 10, 11, 6, 7, 14, 15);         \
            }                                                                                                          \
        }                                                                                                              \
        for (int row = 0; row < 4; row++) {                                                                            \
            rows[row] = __builtin_shufflevector(fours[row], fours[row + 4], 0, 1, 2, 3, 8, 9, 10, 11);                 \
            rows[row + 4] = __builtin_shufflevector(fours[row], fours[row + 4], 4, 5, 6, 7, 12, 13, 14, 15);           \
        }                                                                                                              \
    } while (0)

/* A function for a width and a kind of machine: fewer lanes are done sooner. */
#define DEFINE_UPDATE(WIDTH, NAME, TARGET)                                                                             \
    typedef uint32_t NAME##_words __attribute__((vector_size(4 * WIDTH)));                                             \
                                                                                                                       \
    TARGET                                                                                                             \
    static void NAME(const struct cmd5_lane *lanes, size_t count, size_t blocks) {                                     \
        const uint8_t *bytes[WIDTH];                                                                                   \
        NAME##_words state[4];                                                                                         \
        /* What the compiler does not know, it adds first: a constant would come last, on the way from step to step. */\
        const uint32_t *addends = sines;                                                                               \
        __asm__("" : "+r"(addends));                                                                                   \
        for (size_t lane = 0; lane < WIDTH; lane++) {                                                                  \
            /* Lanes without a message go along with the first, for nothing. */                                        \
            const struct cmd5_lane *message = &lanes[lane < count ? lane : 0];                                         \
            bytes[lane] = message->bytes;                                                                              \
            for (int word = 0; word < 4; word++) state[word][lane] = message->state[word];                             \
        }                                                                                                              \
        for (size_t block = 0; block < blocks; block++) {                                                              \
            NAME##_words message[16];                                                                                  \
            for (int half = 0; half < WIDTH; half += 8) {                                                              \
                for (int part = 0; part < 2; part++) {                                                                 \
                    words8 rows[8];                                                                                    \
                    for (int lane = 0; lane < 8; lane++)                                                               \
                        memcpy(&rows[lane], bytes[half + lane] + block * CMD5_BLOCK_BYTES + part * 32, 32);            \
                    transpose(rows);                                                                                   \
                    for (int word = 0; word < 8; word++)                                                               \
                        memcpy((uint32_t *)&message[part * 8 + word] + half, &rows[word], 32);                         \
                }                                                                                                      \
            }                                                                                                          \
            NAME##_words a = state[0], b = state[1], c = state[2], d = state[3];                                       \
            _Pragma("clang loop unroll(full)") for (int step = 0; step < 64; step++) {                                 \
                NAME##_words mixed;                                                                                    \
                int word;                                                                                              \
                switch (step / 16) {                                                                                   \
                    case 0: mixed = d ^ (b & (c ^ d)); word = step; break;                                             \
                    case 1: mixed = c ^ (d & (b ^ c)); word = (5 * step + 1) % 16; break;                              \
                    case 2: mixed = b ^ c ^ d; word = (3 * step + 5) % 16; break;                                      \
                    default: mixed = c ^ (b | ~d); word = 7 * step % 16; break;                                        \
                }                                                                                                      \
                int rotation = rotations[step / 16][step % 4];                                                         \
                mixed += a + addends[step] + message[word];                                                            \
                a = d;                                                                                                 \
                d = c;                                                                                                 \
                c = b;                                                                                                 \
                b += (mixed << rotation) | (mixed >> (32 - rotation));                                                 \
            }                                                                                                          \
            state[0] += a;                                                                                             \
            state[1] += b;                                                                                             \
            state[2] += c;                                                                                             \
            state[3] += d;                                                                                             \
        }                                                                                                              \
        for (size_t lane = 0; lane < count; lane++)                                                                    \
            for (int word = 0; word < 4; word++) lanes[lane].state[word] = state[word][lane];                          \
    }

#if defined(__x86_64__)
DEFINE_UPDATE(8, update8_avx512, __attribute__((target("avx512f,avx512vl"))))
DEFINE_UPDATE(16, update16_avx512, __attribute__((target("avx512f,avx512vl"), min_vector_width(512))))
DEFINE_UPDATE(8, update8_avx2, __attribute__((target("avx2"))))
DEFINE_UPDATE(16, update16_avx2, __attribute__((target("avx2"))))
#endif
DEFINE_UPDATE(8, update8, )
DEFINE_UPDATE(16, update16, )

/* The same for few messages, in the registers of numbers: the steps of one are done while those of another wait. Beyond
   four, the registers are too few. */
#define DEFINE_INTERLEAVED(COUNT, NAME)                                                                                \
    static void NAME(const struct cmd5_lane *lanes, size_t blocks) {                                                   \
        uint32_t state[COUNT][4];                                                                                      \
        const uint8_t *bytes[COUNT];                                                                                   \
        _Pragma("clang loop unroll(full)") for (int lane = 0; lane < COUNT; lane++) {                                  \
            bytes[lane] = lanes[lane].bytes;                                                                           \
            memcpy(state[lane], lanes[lane].state, 16);                                                                \
        }                                                                                                              \
        for (size_t block = 0; block < blocks; block++) {                                                              \
            uint32_t words[COUNT][4];                                                                                  \
            memcpy(words, state, sizeof words);                                                                        \
            _Pragma("clang loop unroll(full)") for (int step = 0; step < 64; step++) {                                 \
                _Pragma("clang loop unroll(full)") for (int lane = 0; lane < COUNT; lane++) {                          \
                    uint32_t a = words[lane][0], b = words[lane][1], c = words[lane][2], d = words[lane][3];           \
                    uint32_t mixed, message, sum = a + sines[step];                                                    \
                    int word;                                                                                          \
                    switch (step / 16) {                                                                               \
                        case 0: mixed = d ^ (b & (c ^ d)); word = step; break;                                         \
                        case 1: mixed = b & d; sum += c & ~d; word = (5 * step + 1) % 16; break;                       \
                        case 2: mixed = b ^ c ^ d; word = (3 * step + 5) % 16; break;                                  \
                        default: mixed = c ^ (b | ~d); word = 7 * step % 16; break;                                    \
                    }                                                                                                  \
                    memcpy(&message, bytes[lane] + word * 4, 4);                                                       \
                    sum += message;                                                                                    \
                    /* What waits for the step before comes last, as one addition, whatever the compiler prefers. */   \
                    __asm__("" : "+r"(sum));                                                                           \
                    sum = __builtin_rotateleft32(sum + mixed, rotations[step / 16][step % 4]);                         \
                    __asm__("" : "+r"(sum));                                                                           \
                    words[lane][0] = d;                                                                                \
                    words[lane][3] = c;                                                                                \
                    words[lane][2] = b;                                                                                \
                    words[lane][1] = b + sum;                                                                          \
                }                                                                                                      \
            }                                                                                                          \
            _Pragma("clang loop unroll(full)") for (int lane = 0; lane < COUNT; lane++) {                              \
                for (int word = 0; word < 4; word++) state[lane][word] += words[lane][word];                           \
                bytes[lane] += CMD5_BLOCK_BYTES;                                                                       \
            }                                                                                                          \
        }                                                                                                              \
        for (int lane = 0; lane < COUNT; lane++) memcpy(lanes[lane].state, state[lane], 16);                           \
    }

DEFINE_INTERLEAVED(1, update1)
DEFINE_INTERLEAVED(2, update2)
DEFINE_INTERLEAVED(3, update3)
DEFINE_INTERLEAVED(4, update4)

void cmd5_update(const struct cmd5_lane *lanes, size_t count, size_t blocks) {
    switch (count) {
        case 1: update1(lanes, blocks); return;
        case 2: update2(lanes, blocks); return;
        case 3: update3(lanes, blocks); return;
        case 4: update4(lanes, blocks); return;
    }
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512vl")) {
        (count <= 8 ? update8_avx512 : update16_avx512)(lanes, count, blocks);
        return;
    }
    if (__builtin_cpu_supports("avx2")) {
        (count <= 8 ? update8_avx2 : update16_avx2)(lanes, count, blocks);
        return;
    }
#endif
    (count <= 8 ? update8 : update16)(lanes, count, blocks);
}
