/* What libfcgi does not tell of the parameters of a request: whether one of them holds a NUL. It reads the length of each,
 * but keeps them as C strings, which end at their first NUL: a user "alice\0" would pass for "alice".
 *
 * So FCGX_GetStr, by which libfcgi reads them, is defined here a second time, and leaves a note in the stream. The
 * dynamic linker prefers a program's own definition, as long as libfcgi is not linked with -Bsymbolic; a test would fail. */
#ifndef CPARAMETERS_H
#define CPARAMETERS_H

#include <stdbool.h>

/* Whether a value that was read from a stream holds a NUL, by the stream's FCGI_errno; takes the note away. */
bool cparameters_take_note(int *stream_error);

#endif
