/* /init of a measurement: loads the modules of a list, so that PID 1 finds them loaded, and becomes the real /init. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    char path[4096];
    FILE *list = fopen("/preload.list", "re");
    while (list && fgets(path, sizeof path, list)) {
        path[strcspn(path, "\n")] = 0;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        syscall(SYS_finit_module, fd, "", 0);
        close(fd);
        /* The kernel checks a module's signature before it finds that it has the module. */
        unlink(path);
    }
    execl("/init", "/init", (char *)0);
    return 1;
}
