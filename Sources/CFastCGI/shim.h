#include <fcgiapp.h>
#include <stddef.h>
#include <stdint.h>

/* The start of libfcgi's private FCGX_Stream_Data, the same since version 2.2 of 1999. */
struct fermata_stream_data {
    unsigned char *buff;
    int bufflen;
    unsigned char *mBuff;
    unsigned char *buffStop;
    int type;
    int eorStop;
    int skip;
    int contentLen;
    int paddingLen;
};

/* How many bytes a reading stream has taken from its connection that belong to records behind the current one; negative
   when some of the current one's padding is still to come. libfcgi tells only what is left of the current record.
   PTRDIFF_MIN when the library is not laid out as expected. */
static inline ptrdiff_t fermata_buffered_count(const FCGX_Stream *stream) {
    const struct fermata_stream_data *data = stream->data;
    if (data->bufflen <= 0 || stream->stop < data->buff || data->buffStop < stream->stop
        || data->buffStop > data->buff + data->bufflen || data->paddingLen < 0 || data->paddingLen > 255) {
        return PTRDIFF_MIN;
    }
    return data->buffStop - stream->stop - data->paddingLen;
}
