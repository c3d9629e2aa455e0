#include "CParameters.h"

#include <fcgiapp.h>
#include <stddef.h>
#include <string.h>

/* An error that libfcgi does not have: its own are negative, those of the system small. */
enum { HOLDS_NUL = 0x4e554c };

/* Where the value follows when a name was read: libfcgi reads both to one block, with room for the sign between them.
 * The lengths of both, which may have bytes that are 0, are read elsewhere. */
static _Thread_local const char *after_name;

int FCGX_GetStr(char *to, int count, FCGX_Stream *stream) {
    bool is_value = to == after_name;
    after_name = NULL;
    int done = 0;
    while (done < count && !stream->isClosed && stream->isReader) {
        if (stream->rdNext == stream->stop) {
            stream->fillBuffProc(stream);
            if (stream->isClosed) break;
            stream->stopUnget = stream->rdNext;
            continue;
        }
        ptrdiff_t there = stream->stop - stream->rdNext;
        int step = there < count - done ? (int)there : count - done;
        memcpy(to + done, stream->rdNext, step);
        stream->rdNext += step;
        done += step;
    }
    if (!is_value && done == count) after_name = to + count + 1;
    if (is_value && memchr(to, 0, done) != NULL && stream->FCGI_errno == 0) stream->FCGI_errno = HOLDS_NUL;
    return done;
}

bool cparameters_take_note(int *stream_error) {
    if (*stream_error != HOLDS_NUL) return false;
    *stream_error = 0;
    return true;
}
