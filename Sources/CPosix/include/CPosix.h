/* Linux and glibc calls that Swift cannot import: hidden behind _GNU_SOURCE, variadic, or made of macros.
 * Each function is the call it is named after, with the arguments that Fermata uses; errors are in errno. */
#ifndef CPOSIX_H
#define CPOSIX_H

#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* open(2) with O_TMPFILE: a file without a name in the directory; gone with its last descriptor. */
int cposix_open_anonymous(int directory, mode_t mode);
/* linkat(2) of /proc/self/fd/N: gives such a file a name; EEXIST when the name is taken. */
int cposix_link_anonymous(int file, int directory, const char *name);
/* renameat2(2) with RENAME_NOREPLACE; EEXIST when the new name is taken. */
int cposix_rename_exclusive(int from_directory, const char *from, int to_directory, const char *to);
/* fcntl(2) F_OFD_SETLK of a range of a file. kind: F_RDLCK, F_WRLCK or F_UNLCK. */
int cposix_lock(int file, short kind, int64_t offset, int64_t count);
/* openat2(2) with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS: ELOOP at a symbolic link. */
int cposix_open_beneath(int directory, const char *path, int flags);
/* copy_file_range(2) between explicit offsets. */
ssize_t cposix_copy_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t count);
/* pthread_getattr_np(3): where the stack of the calling thread lies. 0, or an error number. */
int cposix_stack(void **lowest, size_t *count);
/* mallopt(3), M_ARENA_MAX: how many arenas malloc(3) makes at most. */
void cposix_limit_arenas(int count);

/* sem_clockwait(3) on CLOCK_MONOTONIC, for some microseconds. */
int cposix_sem_wait(sem_t *semaphore, int64_t microseconds);

/* memfd_create(2): a file in memory, without a name. */
int cposix_memory_file(void);
/* pipe2(2); reading does not wait. */
int cposix_pipe(int *reading, int *writing);
/* posix_spawn(3) of a program without arguments, with an environment of PATH, LANG and TZ, in a process group of its own: no signal is
 * blocked or ignored, and no descriptors but the given ones are open. -1 when it fails. */
pid_t cposix_spawn(const char *path, int input, int output);
/* pidfd_open(2). */
int cposix_open_process(pid_t process);

/* sigaction(2): whether a signal is ignored. */
bool cposix_is_ignored(int number);
/* accept4(2) with SOCK_CLOEXEC. */
int cposix_accept(int socket);
/* poll(2) for the other side to hang up: 1 when it has, 0 when it has not in time, -1 when interrupted. */
int cposix_await_hangup(int socket, int milliseconds);

/* Guards a mapping of a file against SIGBUS (mmap(2)): a page that the file does not have any more, or that the disk has no
 * space for, is replaced by one of zeros of this process alone when it is touched. The mapping must never be removed. -1
 * when there are too many. */
int cposix_guard_mapping(void *start, size_t count);

/* Words that several processes have in their memory: relaxed atomic operations, as the words say nothing of each other. */
static inline void cposix_add(uint64_t *word, uint64_t value) { __atomic_fetch_add(word, value, __ATOMIC_RELAXED); }
static inline uint64_t cposix_load(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }

#endif
