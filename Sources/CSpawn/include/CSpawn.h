// What Swift's Glibc module leaves out: GNU's extensions of posix_spawn, and holes in files.
#ifndef CSPAWN_H
#define CSPAWN_H

#include <sys/types.h>

/// Starts a program in a session of its own, with default signals, standard input, output and error from and to these
/// descriptors, and no other descriptor. An input of -1 stands for /dev/null. Answers 0 or an error number.
int tokenpool_spawn(
    pid_t *pid, const char *program, char *const *arguments, char *const *environment, const char *folder, int input,
    int output, int errors);

/// Gives a file's space between two places back; the file keeps its length. Answers 0 or -1.
int tokenpool_punch_hole(int descriptor, off_t start, off_t length);

/// Whether nobody but the caller has this regular file open. 0 also when that can not be known, as on network file systems.
int tokenpool_is_unshared(int descriptor);

#endif
