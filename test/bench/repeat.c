/* repeat - runs a program some times and prints the medians: wall clock and CPU time in milliseconds.
 *
 *   repeat count program argument... */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

enum { MAX_RUNS = 1000 };

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double ms(struct timeval t)
{
    return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3;
}

int main(int argc, char **argv, char **env)
{
    static double wall[MAX_RUNS], cpu[MAX_RUNS];
    int count = argc > 2 ? (int)strtol(argv[1], NULL, 10) : 0;
    posix_spawn_file_actions_t quiet;

    if (count < 1 || count > MAX_RUNS)
        return 2;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    for (int i = 0; i < count; i++) {
        struct rusage used;
        pid_t pid;
        int status;
        double start = now();
        if (posix_spawn(&pid, argv[2], &quiet, NULL, argv + 2, env) != 0 || wait4(pid, &status, 0, &used) != pid ||
            status != 0) {
            fprintf(stderr, "repeat: %s failed\n", argv[2]);
            return 1;
        }
        wall[i] = now() - start;
        cpu[i] = ms(used.ru_utime) + ms(used.ru_stime);
    }
    qsort(wall, (size_t)count, sizeof *wall, compare);
    qsort(cpu, (size_t)count, sizeof *cpu, compare);
    printf("%.3f %.3f\n", wall[count / 2], cpu[count / 2]);
    return 0;
}
