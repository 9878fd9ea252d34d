/* `kickstand core`: runs a bare RISC-V program on the core alone. */
#ifndef KICKSTAND_HOST_SIM_CMD_CORE_H
#define KICKSTAND_HOST_SIM_CMD_CORE_H

#ifdef __cplusplus
extern "C" {
#endif

/* argv[0] is the command's name, "core". Returns the exit status: the program's exit code (255 if it is larger), 2 after
 * a usage or ELF error (one line on stderr), 3 when the program did not end by itself (reason and registers on
 * stderr). */
int cmd_core(int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
