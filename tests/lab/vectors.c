/* Sums by vector registers alone, in two processes that are switched between: printed are the same sums wherever the
 * kernel keeps each process's registers. For tests/lab/check.
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 20000, LANES = 4 };

/* Adds `step` to `sum` ROUNDS times; between two additions the sum is nowhere but in a register, and the other process runs. */
#define ADD(MOVE, PLUS, SUM, STEP)                                                                                               \
    __asm__ volatile(MOVE " (%[sum]), %%" SUM "\n\t" MOVE " (%[step]), %%" STEP "\n"                                              \
                     "1: " PLUS "\n\t"                                                                                           \
                     "mov $24, %%eax\n\tsyscall\n\t" /* sched_yield */                                                            \
                     "dec %[rounds]\n\tjnz 1b\n\t" MOVE " %%" SUM ", (%[sum])"                                                    \
                     : [rounds] "+r"(rounds)                                                                                     \
                     : [sum] "r"(sum), [step] "r"(step)                                                                          \
                     : "rax", "rcx", "r11", "xmm6", "xmm7", "memory")

static void work(int process) {
    double sum[LANES] = {process, process * 2, process * 3, process * 4}, step[LANES] = {0.5, 0.25, 3, 7};
    long rounds = ROUNDS;
    int lanes = LANES;

    if (__builtin_cpu_supports("avx")) {
        ADD("vmovupd", "vaddpd %%ymm6, %%ymm7, %%ymm7", "ymm7", "ymm6");
    } else {
        ADD("movupd", "addpd %%xmm6, %%xmm7", "xmm7", "xmm6");
        lanes = 2;
    }
    for (int lane = 0; lane < lanes; lane++)
        printf("%d %d %g\n", process, lane, sum[lane]);
}

int main(void) {
    pid_t child = fork();
    work(child ? 1 : 1000);
    fflush(stdout);
    return child > 0 && waitpid(child, NULL, 0) < 0;
}
