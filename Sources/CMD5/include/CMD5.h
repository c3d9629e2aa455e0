#include <stddef.h>
#include <stdint.h>

/* MD5 (RFC 1321) of up to CMD5_LANES messages at the same time: up to four with their steps interleaved, more each in a
   lane of vector registers. One message after the other waits at each step for the one before; several together do not. */

#define CMD5_LANES 16
#define CMD5_BLOCK_BYTES 64

/* A message: the state of its digest, and where its next bytes are. */
struct cmd5_lane {
    uint32_t *state;
    const uint8_t *bytes;
};

/* Takes the next `blocks` blocks of each of `count` messages, 1 to CMD5_LANES, into their states. */
void cmd5_update(const struct cmd5_lane *lanes, size_t count, size_t blocks);
