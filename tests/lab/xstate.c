/* Laid in front of ptrace in a user-mode kernel (tests/lab/uml, by LD_PRELOAD).
 *
 * Linux before 6.13 sets the vector registers of its processes by a buffer of a fixed size, 2,696 bytes. A machine takes a
 * buffer of its processor's whole state alone, which is longer with AMX (11,008 bytes), and refuses any other with EFAULT.
 * Where that happens the whole state of the process is read, the kernel's part is laid over its beginning, and all of it
 * is set. What lies behind that part is AMX's tiles, which no program here uses.
 *
 * IPVS_LAB_XSTATE=always is for tests: this machine is treated as one that refuses a shorter buffer; =refuse also leaves
 * out the remedy. It is linked with no library, so it suits each release's.
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>

enum { PTRACE_PEEKUSER = 3, PTRACE_GETREGSET = 0x4204, PTRACE_SETREGSET = 0x4205, NT_X86_XSTATE = 0x202, MOST = 64 * 1024 };

struct buffer {
    char *bytes;
    size_t length;
};

long syscall(long number, ...);
char *getenv(const char *name);

static char mode(void) {
    const char *word = getenv("IPVS_LAB_XSTATE");
    return word ? *word : 0;
}

/* Sets the registers of `process`, whatever the length of its whole state. */
static long set_state(long process, struct buffer *part) {
    static char state[MOST] __attribute__((aligned(64)));
    struct buffer whole = {state, sizeof state};
    size_t at;

    if (mode() != 'a' && mode() != 'r') {
        long result = syscall(SYS_ptrace, PTRACE_SETREGSET, process, NT_X86_XSTATE, part);
        if (result != -1 || errno != EFAULT)
            return result;
    }
    if (mode() == 'r') {
        errno = EFAULT;
        return -1;
    }
    if (syscall(SYS_ptrace, PTRACE_GETREGSET, process, NT_X86_XSTATE, &whole) == -1)
        return -1;
    for (at = 0; at < part->length && at < whole.length; at++)
        state[at] = part->bytes[at];
    return syscall(SYS_ptrace, PTRACE_SETREGSET, process, NT_X86_XSTATE, &whole);
}

long ptrace(long request, ...) {
    va_list words;
    long process, address, word, result;
    void *data;

    va_start(words, request);
    process = va_arg(words, long);
    address = va_arg(words, long);
    data = va_arg(words, void *);
    va_end(words);
    if (request == PTRACE_SETREGSET && address == NT_X86_XSTATE)
        return set_state(process, data);
    if (request < 1 || request > PTRACE_PEEKUSER)
        return syscall(SYS_ptrace, request, process, address, data);
    /* A C library returns the word that the system call writes. */
    result = syscall(SYS_ptrace, request, process, address, &word);
    if (result == -1)
        return -1;
    errno = 0;
    return word;
}
