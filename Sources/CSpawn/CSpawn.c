#define _GNU_SOURCE
#include "CSpawn.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>

int tokenpool_spawn(
    pid_t *pid, const char *program, char *const *arguments, char *const *environment, const char *folder, int input,
    int output, int errors)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int error = posix_spawn_file_actions_init(&actions);
    if (error) return error;
    error = posix_spawnattr_init(&attributes);
    if (error) {
        posix_spawn_file_actions_destroy(&actions);
        return error;
    }
    sigemptyset(&none);
    sigfillset(&all);
    error = input < 0 ? posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
                      : posix_spawn_file_actions_adddup2(&actions, input, 0);
    if (!error
        && !(error = posix_spawn_file_actions_adddup2(&actions, output, 1))
        && !(error = posix_spawn_file_actions_adddup2(&actions, errors, 2))
        && !(error = posix_spawn_file_actions_addclosefrom_np(&actions, 3))
        && !(error = posix_spawn_file_actions_addchdir_np(&actions, folder))
        && !(error = posix_spawnattr_setsigmask(&attributes, &none))
        && !(error = posix_spawnattr_setsigdefault(&attributes, &all))
        && !(error = posix_spawnattr_setflags(
                 &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID)))
        error = posix_spawnp(pid, program, &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

int tokenpool_punch_hole(int descriptor, off_t start, off_t length)
{
    return fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start, length);
}

int tokenpool_is_unshared(int descriptor)
{
    // The kernel grants a write lease only on a file that nobody else has open. Who opens it just then waits until the lease
    // is given back; the signal about that must not be SIGIO, which would end the process.
    if (fcntl(descriptor, F_SETSIG, SIGURG) != 0 || fcntl(descriptor, F_SETLEASE, F_WRLCK) != 0) return 0;
    return fcntl(descriptor, F_SETLEASE, F_UNLCK) == 0;
}
