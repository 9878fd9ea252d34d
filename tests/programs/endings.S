# The ways a program can end; the macro defined by the build chooses one.
	.section .text.start, "ax"
	.globl _start
_start:
#if defined(END_EXIT)		/* exit code 42 */
	li	a0, 42 << 1 | 1
	bnez	a0, exit
#elif defined(END_EXIT_LARGE)	/* exit code 256: does not fit an exit status */
	li	a0, 256 << 1 | 1
	j	exit
#elif defined(END_ASLEEP)	/* sleeps, and nothing will wake it */
	wfi
	j	_start
#elif defined(END_SPIN)		/* jumps to itself */
1:	j	1b
#elif defined(END_LOOP)		/* never ends: 4 cycles a round with the default costs */
	li	a0, 0
1:	addi	a0, a0, 1
	bnez	a0, 2f
2:	j	1b
#elif defined(END_TRAP)		/* mtvec is 0, where there is no memory */
	unimp
#else
#error choose an ending
#endif
exit:
	la	t0, tohost
	sw	a0, 0(t0)
1:	j	1b

	.section .tohost, "aw"
	.balign 64
	.globl tohost
tohost:	.dword 0
#if defined(LARGE)		/* more than the core's memory of 256 KiB */
	.bss
	.space	300 << 10
#endif
