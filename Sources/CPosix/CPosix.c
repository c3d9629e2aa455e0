#define _GNU_SOURCE
#include "CPosix.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int cposix_open_anonymous(int directory, mode_t mode) {
    return openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
}

int cposix_link_anonymous(int file, int directory, const char *name) {
    char source[32];
    snprintf(source, sizeof source, "/proc/self/fd/%d", file);
    return linkat(AT_FDCWD, source, directory, name, AT_SYMLINK_FOLLOW);
}

int cposix_rename_exclusive(int from_directory, const char *from, int to_directory, const char *to) {
    return renameat2(from_directory, from, to_directory, to, RENAME_NOREPLACE);
}

int cposix_lock(int file, short kind, int wait, int64_t offset, int64_t count) {
    struct flock range = {.l_type = kind, .l_whence = SEEK_SET, .l_start = offset, .l_len = count};
    return fcntl(file, wait ? F_OFD_SETLKW : F_OFD_SETLK, &range);
}

int cposix_open_beneath(int directory, const char *path, int flags) {
    struct open_how how = {
        .flags = flags,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

int cposix_allocate(int file, int64_t offset, int64_t count) {
    return fallocate(file, 0, offset, count);
}

ssize_t cposix_copy_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t count) {
    loff_t source = from_offset, target = to_offset;
    return copy_file_range(from, &source, to, &target, count, 0);
}

int cposix_stack(void **lowest, size_t *count) {
    pthread_attr_t attributes;
    int error = pthread_getattr_np(pthread_self(), &attributes);
    if (error != 0) return error;
    error = pthread_attr_getstack(&attributes, lowest, count);
    pthread_attr_destroy(&attributes);
    return error;
}

void cposix_limit_arenas(int count) { mallopt(M_ARENA_MAX, count); }

int cposix_sem_wait(sem_t *semaphore, int64_t microseconds) {
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    int64_t nanoseconds = end.tv_nsec + microseconds * 1000;
    end.tv_sec += nanoseconds / 1000000000;
    end.tv_nsec = nanoseconds % 1000000000;
    return sem_clockwait(semaphore, CLOCK_MONOTONIC, &end);
}
