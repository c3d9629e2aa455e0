#include <fcgiapp.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

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

/* Whether a reading stream is laid out as expected. */
static inline bool fermata_is_known(const FCGX_Stream *stream) {
    const struct fermata_stream_data *data = stream->data;
    return data->bufflen > 0 && data->buff <= stream->rdNext && stream->rdNext <= stream->stop
        && stream->stop <= data->buffStop && data->buffStop <= data->buff + data->bufflen && 0 <= data->paddingLen
        && data->paddingLen <= 255;
}

/* How many bytes a reading stream has taken from its connection that belong to records behind the current one; negative
   when some of the current one's padding is still to come. libfcgi tells only what is left of the current record.
   0 when the library is not laid out as expected. */
static inline ptrdiff_t fermata_buffered_count(const FCGX_Stream *stream) {
    const struct fermata_stream_data *data = stream->data;
    return fermata_is_known(stream) ? data->buffStop - stream->stop - data->paddingLen : 0;
}

/* Memory that a stream reads to. */
struct fermata_memory_block {
    unsigned char *start;
    int count;
};

/* The memory that a reading stream reads to. */
static inline struct fermata_memory_block fermata_memory(const FCGX_Stream *stream) {
    const struct fermata_stream_data *data = stream->data;
    return (struct fermata_memory_block){data->buff, data->bufflen};
}

/* Has a reading stream read to other memory, which must last as long as the stream is read: libfcgi takes 8 KiB at a time
   whatever is asked of it. What it has read already moves there. False when nothing was changed: the library is not laid
   out as expected, or the memory is too small. */
static inline bool fermata_read_to(FCGX_Stream *stream, struct fermata_memory_block memory) {
    struct fermata_stream_data *data = stream->data;
    if (!fermata_is_known(stream) || data->buffStop - stream->rdNext > memory.count) {
        return false;
    }
    ptrdiff_t stop = stream->stop - stream->rdNext, count = data->buffStop - stream->rdNext;
    memcpy(memory.start, stream->rdNext, count);
    data->buff = stream->rdNext = stream->stopUnget = memory.start;
    data->bufflen = memory.count;
    data->buffStop = memory.start + count;
    stream->stop = stream->wrNext = memory.start + stop;
    return true;
}
