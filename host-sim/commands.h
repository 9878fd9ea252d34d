/* The commands of `kickstand`: each takes its own argument vector, argv[0] being its name, and returns the exit status. */
#ifndef KICKSTAND_HOST_SIM_COMMANDS_H
#define KICKSTAND_HOST_SIM_COMMANDS_H

enum exit_status {
	EXIT_OK = 0,         /* all I/O done and verified */
	EXIT_IO = 1,         /* I/O or verification errors */
	EXIT_USAGE = 2,      /* usage or configuration error */
	EXIT_SIMULATION = 3, /* deadlock, firmware trap, watchdog: with a state dump */
	EXIT_SIGNAL = 128,   /* + the signal's number: ended early, as shells have it */
};

int cmd_run(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_core(int argc, char **argv);
int cmd_sweep(int argc, char **argv);
int cmd_compare(int argc, char **argv);

#endif
