#define _GNU_SOURCE
#include "CPosix.h"

#include <stdlib.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
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

int cposix_lock(int file, short kind, int64_t offset, int64_t count) {
    struct flock range = {.l_type = kind, .l_whence = SEEK_SET, .l_start = offset, .l_len = count};
    return fcntl(file, F_OFD_SETLK, &range);
}

int cposix_open_beneath(int directory, const char *path, int flags) {
    struct open_how how = {
        .flags = flags,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
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

int cposix_memory_file(void) { return memfd_create("fermata", MFD_CLOEXEC); }

int cposix_pipe(int *reading, int *writing) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *reading = ends[0];
    *writing = ends[1];
    return 0;
}

/* Of what this process has in its environment, a program gets the time zone: the rest is not meant for it, and may be secret. */
static const char time_zone_name[] = "TZ";

pid_t cposix_spawn(const char *path, int input, int output) {
    char zone[256];
    char *environment[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", NULL, NULL};
    const char *own_zone = getenv(time_zone_name);
    if (own_zone != NULL) {
        int count = snprintf(zone, sizeof zone, "%s=%s", time_zone_name, own_zone);
        if (count > 0 && (size_t)count < sizeof zone) environment[2] = zone;
    }
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    pid_t process;
    char *arguments[] = {(char *)path, NULL};
    int error = posix_spawn(&process, path, &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (error == 0) return process;
    errno = error;
    return -1;
}

int cposix_open_process(pid_t process) { return (int)syscall(SYS_pidfd_open, process, 0); }

/* The mappings that are guarded: one for each file of counters that this process has ever opened. */
enum { GUARDED_MAX = 64 };
static struct {
    _Atomic(uintptr_t) start;
    _Atomic(uintptr_t) end;
} guarded[GUARDED_MAX];
static atomic_int guarded_count;
static struct sigaction previous_action;
static pthread_once_t guard_once = PTHREAD_ONCE_INIT;

static void replace_page(int number, siginfo_t *info, void *context) {
    (void)context;
    int error = errno;
    uintptr_t address = (uintptr_t)info->si_addr, size = (uintptr_t)getpagesize(), page = address / size * size;
    for (int index = 0; index < GUARDED_MAX; index++) {
        uintptr_t start = atomic_load(&guarded[index].start), end = atomic_load(&guarded[index].end);
        if (start == 0 || address < start || address >= end) continue;
        void *memory = mmap((void *)page, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        errno = error;
        if (memory != MAP_FAILED) return;
        break;
    }
    /* Not ours: what was there before gets it, as the instruction is tried again. */
    sigaction(number, &previous_action, NULL);
    errno = error;
}

static void install_guard(void) {
    struct sigaction action = {.sa_sigaction = replace_page, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &previous_action);
}

int cposix_guard_mapping(void *start, size_t count) {
    int index = atomic_fetch_add(&guarded_count, 1);
    if (index >= GUARDED_MAX) {
        errno = ENOMEM;
        return -1;
    }
    atomic_store(&guarded[index].end, (uintptr_t)start + count);
    atomic_store(&guarded[index].start, (uintptr_t)start);
    pthread_once(&guard_once, install_guard);
    return 0;
}

int cposix_accept(int socket) { return accept4(socket, NULL, NULL, SOCK_CLOEXEC); }

int cposix_await_hangup(int socket, int milliseconds) {
    struct pollfd entry = {.fd = socket, .events = POLLRDHUP};
    return poll(&entry, 1, milliseconds);
}

bool cposix_is_ignored(int number) {
    struct sigaction action;
    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}
